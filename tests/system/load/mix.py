"""The kinds of requests of the load: what is sent, and the answer in what comes back.

The answer of each kind is fixed: it is greedy or has a seed, so that what a busy server says can be held against what
it said alone. Out of an answer only what a reader sees is taken: no ids, times or counts of caches.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image

from tests.system.questions import SCHEMA

Json = Any
Read = Callable[[Sequence[bytes]], str]
IMAGES = Path(__file__).resolve().parents[3] / "examples" / "images"
TOKENS = 24
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"name": "get_weather", "description": "Get the weather of a city"}
FUNCTION = {"type": "function", "function": {**WEATHER, "parameters": PARAMETERS}}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of request.

    Attributes:
        name: For the report.
        path: Where it is sent.
        body: What is sent.
        read: Takes the answer out of the lines of the reply's body.
    """

    name: str
    path: str
    body: Json
    read: Read


def all_kinds() -> list[Kind]:
    """List the kinds: unlike lengths, pictures, seeds, schemas, tools, and every protocol, streamed and whole."""
    return [*_chat_kinds(), *_response_kinds(), *_ollama_kinds(), *_anthropic_kinds()]


HOSTILE: tuple[tuple[str, bytes], ...] = (
    ("/v1/chat/completions", b"{"),
    ("/v1/chat/completions", b"[]"),
    ("/v1/chat/completions", b'{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}'),
    ("/v1/responses", b'{"input": 5}'),
    ("/v1/messages", b'{"messages": "all", "max_tokens": -1}'),
    ("/api/chat", b'{"model": "demo", "messages": [{"content": {}}]}'),
    ("/api/generate", b"[" * 5000),
    ("/v1/completions", json.dumps({"prompt": "x", "temperature": "hot"}).encode()),
)
"""Requests that must be refused with a 400."""


def _chat_kinds() -> list[Kind]:
    path, stream = "/v1/chat/completions", {"stream": True}
    fixed = {"model": "demo", "max_tokens": TOKENS, "temperature": 0}
    warm = {"temperature": 2.5, "reasoning_effort": "none"}  # the demo is sure of itself
    form = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA}}
    frames = {"type": "video", "video": [_color(name) for name in ("red", "red", "green", "blue")], "fps": 2}
    tall = {"type": "image_url", "image_url": {"url": _color("navy", (192, 320))}, "max_pixels": 192 * 320}
    long_text = " ".join(f"Line {number} of a long text." for number in range(24))

    def chat(name: str, read: Read, *parts: Json, **fields: Json) -> Kind:
        content = [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]
        return Kind(name, path, {**fixed, "messages": [{"role": "user", "content": content}], **fields}, read)

    return [
        *(chat(f"chat seed {seed}", _chat_stream, "Say something.", seed=seed, **warm, **stream) for seed in range(6)),
        chat("chat whole", _chat_whole, "What is the capital of France?"),
        chat("chat three choices", _chat_whole, "Hello", n=3, seed=5, **warm),
        chat("chat picture", _chat_whole, _sample("scene.png"), "How many circles are there?"),
        chat("chat two pictures", _chat_stream, _sample("before.png"), _sample("after.png"), "What changed?", **stream),
        chat("chat large picture", _chat_stream, tall, "What is in this picture?", **stream),
        chat("chat video", _chat_whole, frames, "What happens?"),
        chat("chat schema", _chat_stream, "Answer.", response_format=form, reasoning_effort="none", **stream),
        chat("chat tool", _chat_stream, "What is the weather in Paris?", tools=[FUNCTION], **stream, max_tokens=120),
        chat("chat long", _chat_stream, long_text, **stream),
        chat("chat logprobs", _chat_whole, "Hi", logprobs=True, top_logprobs=3, reasoning_effort="none"),
    ]


def _response_kinds() -> list[Kind]:
    fields = {"model": "demo", "max_output_tokens": TOKENS, "temperature": 0}
    body = {"model": "demo", "prompt": "Once upon", "max_tokens": 24, "temperature": 1.0, "seed": 9}
    return [
        Kind("responses", "/v1/responses", {**fields, "input": "Who are you?", "stream": True}, _response_stream),
        Kind("completions", "/v1/completions", body, _completion_whole),
    ]


def _ollama_kinds() -> list[Kind]:
    options = {"temperature": 0, "num_predict": TOKENS}
    message = {"role": "user", "content": "What does the sign say?", "images": [_file("sign.png")]}
    asks = {"role": "user", "content": "What is the weather in Rome?"}
    warm = {"temperature": 2.5, "seed": 3, "num_predict": TOKENS}
    return [
        Kind("ollama picture", "/api/chat", {"model": "demo", "messages": [message], "options": options}, _ollama),
        Kind("ollama generate", "/api/generate", {"model": "demo", "prompt": "Hello", "options": warm}, _ollama),
        Kind("ollama tool", "/api/chat", {"model": "demo", "messages": [asks], "tools": [FUNCTION], "options": {
            "temperature": 0, "num_predict": 120}}, _ollama),
    ]  # fmt: skip


def _anthropic_kinds() -> list[Kind]:
    source = {"type": "base64", "media_type": "image/png", "data": _file("sign.png")}
    parts = [{"type": "image", "source": source}, {"type": "text", "text": "What does the sign say?"}]
    body = {"model": "demo", "max_tokens": 60, "temperature": 0, "stream": True}
    tools = [{**WEATHER, "input_schema": PARAMETERS}]
    asks = [{"role": "user", "content": "What is the weather in Oslo?"}]
    seen = [{"role": "user", "content": parts}]
    return [
        Kind("anthropic picture", "/v1/messages", {**body, "messages": seen}, _anthropic),
        Kind("anthropic tool", "/v1/messages", {**body, "messages": asks, "tools": tools}, _anthropic),
    ]  # fmt: skip


def _chat_whole(lines: Sequence[bytes]) -> str:
    body = json.loads(b"".join(lines))
    said = []
    for choice in body["choices"]:
        message = choice["message"]
        calls = [call["function"] for call in message.get("tool_calls") or []]
        tokens = [entry["token"] for entry in ((choice["logprobs"] or {}).get("content") or [])]
        said.append([message.get("reasoning_content"), message["content"], calls, tokens, choice["finish_reason"]])
    return json.dumps([said, body["usage"]["completion_tokens"]])


def _chat_stream(lines: Sequence[bytes]) -> str:
    text, thought, arguments, names, reason = "", "", "", [], None
    for chunk in _data(lines):
        for choice in chunk["choices"]:
            delta = choice["delta"]
            text += delta.get("content") or ""
            thought += delta.get("reasoning_content") or ""
            for call in delta.get("tool_calls") or []:
                arguments += call["function"].get("arguments") or ""
                names += [call["function"]["name"]] if call["function"].get("name") else []
            reason = choice["finish_reason"] or reason
    return _ended(b"[DONE]" in lines[-2:] or b"data: [DONE]" in lines, [thought, text, names, arguments, reason])


def _response_stream(lines: Sequence[bytes]) -> str:
    events = _data(lines)
    text = "".join(event["delta"] for event in events if event["type"].endswith(".delta"))
    return _ended(events[-1]["type"] in ("response.completed", "response.incomplete"), [text, events[-1]["type"]])


def _completion_whole(lines: Sequence[bytes]) -> str:
    choice = json.loads(b"".join(lines))["choices"][0]
    return json.dumps([choice["text"], choice["finish_reason"]])


def _ollama(lines: Sequence[bytes]) -> str:
    objects = [json.loads(line) for line in lines if line]
    messages = [one.get("message", {}) for one in objects]
    text = "".join(message.get("content", "") for message in messages) + "".join(
        one.get("response", "") for one in objects
    )
    thought = "".join(message.get("thinking", "") for message in messages)
    calls = [call["function"] for message in messages for call in message.get("tool_calls", [])]
    return _ended(objects[-1]["done"], [thought, text, calls, objects[-1].get("done_reason")])


def _anthropic(lines: Sequence[bytes]) -> str:
    events = _data(lines)
    said: dict[str, str] = {}
    for event in events:
        if event["type"] == "content_block_delta":
            delta = event["delta"]
            for key in ("text", "thinking", "partial_json"):
                said[key] = said.get(key, "") + delta.get(key, "")
    reasons = [event["delta"]["stop_reason"] for event in events if event["type"] == "message_delta"]
    return _ended(events[-1]["type"] == "message_stop", [said, reasons])


def _data(lines: Sequence[bytes]) -> list[Json]:
    return [json.loads(line[6:]) for line in lines if line.startswith(b"data: {")]


def _ended(has_ended: bool, said: Json) -> str:
    assert has_ended, "the stream has no end"
    return json.dumps(said)


@cache
def _file(name: str) -> str:
    return base64.b64encode((IMAGES / name).read_bytes()).decode()


def _sample(name: str) -> Json:
    return {"type": "image_url", "image_url": {"url": "data:image/png;base64," + _file(name)}}


@cache
def _color(name: str, size: tuple[int, int] = (96, 64)) -> str:
    file = io.BytesIO()
    Image.new("RGB", size, name).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
