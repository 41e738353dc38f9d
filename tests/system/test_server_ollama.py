"""The official client of Ollama against the running server, on the embedded demo."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import ollama
import pytest

from tests.system.questions import ASK_WEATHER, SCHEMA, WEATHER
from tests.system.server_process import ServerProcess

IMAGES = Path(__file__).resolve().parents[2] / "examples" / "images"
GREEDY = {"temperature": 0, "num_predict": 200}


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with ServerProcess() as running:
        yield running


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Iterator[ollama.Client]:
    with ollama.Client(host=server.url, timeout=120) as one:
        yield one


def ask(client: ollama.Client, text: str, *images: str, **fields: Any) -> Any:  # Any: one answer, or an iterator
    message = {"role": "user", "content": text, "images": [IMAGES / name for name in images]}
    return client.chat("demo", [message], options=GREEDY, **fields)


def test_models_are_listed_shown_and_found_in_memory(client: ollama.Client) -> None:
    assert [model.model for model in client.list().models] == ["demo:latest"]
    assert [model.context_length for model in client.ps().models] == [8192]
    shown = client.show("demo:latest")
    assert shown.capabilities == ["completion", "vision", "tools", "thinking"]
    assert client.pull("demo").status == "success"


def test_a_text_is_answered_alike_whole_and_streamed(client: ollama.Client) -> None:
    whole = ask(client, "Say something.")
    lines = list(ask(client, "Say something.", stream=True))
    assert "".join(line.message.content or "" for line in lines) == whole.message.content
    assert "".join(line.message.thinking or "" for line in lines) == whole.message.thinking
    assert [line.done for line in lines] == [False] * (len(lines) - 1) + [True]
    assert lines[-1].eval_count == whole.eval_count > 0
    assert lines[-1].total_duration > lines[-1].eval_duration > 0


def test_a_picture_is_read(client: ollama.Client) -> None:
    assert "APPLE" in ask(client, "What does the sign say?", "sign.png").message.content
    answer = client.generate(
        "demo", "What does the sign say?", images=[(IMAGES / "sign.png").read_bytes()], options=GREEDY
    )
    assert "APPLE" in (answer.response or "")


def test_two_pictures_are_compared(client: ollama.Client) -> None:
    answer = ask(client, "What changed between the two pictures?", "before.png", "after.png")
    assert answer.message.content == "The square at the bottom right changed from black to green."


def test_a_video_among_the_images_is_seen_as_one(client: ollama.Client) -> None:
    answer = ask(client, "At which second does the shape appear?", "../video/appear.mp4")
    assert "second" in (answer.message.content or "")
    assert answer.prompt_eval_count > 100


def test_a_tool_is_called_and_its_result_used(client: ollama.Client) -> None:
    first = client.chat("demo", [ASK_WEATHER], tools=[WEATHER], options=GREEDY)
    (call,) = first.message.tool_calls or ()
    assert (call.function.name, call.function.arguments) == ("get_weather", {"city": "Paris"})
    result = {"role": "tool", "tool_name": "get_weather", "content": '{"temperature": 21, "sky": "cloudy"}'}
    last = client.chat("demo", [ASK_WEATHER, first.message, result], tools=[WEATHER], options=GREEDY)
    assert "21" in (last.message.content or "")


def test_the_streamed_conversation_equals_the_recorded_one(server: ServerProcess) -> None:
    body = {"model": "demo", "messages": [ASK_WEATHER], "tools": [WEATHER], "options": GREEDY}
    with httpx.stream("POST", f"{server.url}/api/chat", json=body, timeout=120) as reply:
        lines = [json.loads(line) for line in reply.iter_lines()]
    changing = ("created_at", "total_duration", "load_duration", "prompt_eval_duration", "eval_duration")
    for line in lines:
        for name in changing:
            line.pop(name, None)
    (call,) = lines[-2]["message"].pop("tool_calls")
    assert call.pop("id")
    assert call == {"function": {"index": 0, "name": "get_weather", "arguments": {"city": "Paris"}}}
    head: dict[str, Any] = {"model": "demo", "done": False}
    thoughts = [line["message"].pop("thinking") for line in lines[:-2]]
    assert "".join(thoughts) == "Tools: get_weather. One call. I call get_weather with city."
    assert lines[:-1] == [{**head, "message": {"role": "assistant", "content": ""}}] * (len(thoughts) + 1)
    counts = {"prompt_eval_count": lines[-1]["prompt_eval_count"], "eval_count": lines[-1]["eval_count"]}
    end = {"model": "demo", "message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"}
    assert lines[-1] == {**end, **counts}


@pytest.mark.parametrize("think", [None, False])
def test_a_schema_is_obeyed(client: ollama.Client, think: bool | None) -> None:
    answer = ask(client, "Give me JSON.", format=SCHEMA, think=think)
    jsonschema.validate(json.loads(answer.message.content), SCHEMA)


def test_json_without_a_schema_is_an_object(client: ollama.Client) -> None:
    text = ask(client, "Give me JSON.", format="json", think=False, stream=True)
    assert "".join(line.message.content for line in text).lstrip()[0] == "{"


def test_a_thought_is_shown_or_left_out(client: ollama.Client) -> None:
    assert ask(client, "Say something.", think=True).message.thinking
    assert ask(client, "Say something.", think="low").message.thinking
    assert not ask(client, "Say something.", think=False).message.thinking


def test_logprobs_are_sent(client: ollama.Client) -> None:
    answer = ask(client, "Say something.", logprobs=True, top_logprobs=2, think=False)
    assert "".join(one.token for one in answer.logprobs) == answer.message.content
    assert {len(one.top_logprobs) for one in answer.logprobs} == {2}
    lines = list(ask(client, "Say something.", logprobs=True, think=False, stream=True))
    assert sum(len(line.logprobs or ()) for line in lines) == len(answer.logprobs)


def test_an_answer_ends_at_its_limit_and_at_stop_strings(client: ollama.Client) -> None:
    options = {"temperature": 0, "num_predict": 3}
    assert client.generate("demo", "What do you see?", think=False, options=options).done_reason == "length"
    text = ask(client, "What do you see?", think=False).message.content
    stopped = client.generate("demo", "What do you see?", think=False, options={**GREEDY, "stop": ["see"]})
    assert (stopped.response, stopped.done_reason) == (text[: text.index("see")], "stop")


def test_an_answer_that_was_begun_is_gone_on_with(client: ollama.Client) -> None:
    whole = ask(client, "What is 2 + 2?", think=False).message.content
    begun = " ".join(whole.split(" ")[:3])
    messages = [{"role": "user", "content": "What is 2 + 2?"}, {"role": "assistant", "content": begun}]
    rest = client.chat("demo", messages, options=GREEDY).message
    assert (begun + str(rest.content), rest.thinking, bool(rest.content)) == (whole, None, True)
    with pytest.raises(ollama.ResponseError, match=r"messages\[1\]: expected no schema beside it"):
        client.chat("demo", messages, format="json")


def test_a_client_that_leaves_frees_its_place(client: ollama.Client, server: ServerProcess) -> None:
    options = {"num_predict": 4000, "temperature": 1, "seed": 1}
    stream = client.chat("demo", [ASK_WEATHER], options=options, stream=True, format="json", think=False)
    next(iter(stream))
    stream.close()  # type: ignore[attr-defined]  # a generator
    deadline = time.monotonic() + 20
    while httpx.get(f"{server.url}/health").json()["working"]:
        assert time.monotonic() < deadline, "the answer goes on for nobody"
        time.sleep(0.05)


def test_a_model_is_unloaded_and_comes_back(client: ollama.Client) -> None:
    assert client.generate("demo", "", keep_alive=0).done_reason == "unload"
    assert client.ps().models == []
    assert (ask(client, "Hi", keep_alive="1h").load_duration or 0) > 0
    assert len(client.ps().models) == 1


@pytest.mark.parametrize(
    ("fields", "status", "text"),
    [
        ({"model": "nope"}, 404, "model 'nope' not found"),
        ({"options": {"temperature": -1}}, 400, "options.temperature: expected"),
        ({"format": {"type": "nothing"}}, 400, "schema"),
        ({"messages": [{"role": "user", "content": "x", "images": ["AAAA"]}]}, 400, "not a picture"),
        ({"messages": [{"role": "user", "content": "word " * 9000}]}, 400, "the context holds 8192"),
        ({"messages": [{"role": "robot", "content": "x"}]}, 400, "the role should be"),
    ],
)
def test_errors_are_told_in_words(client: ollama.Client, fields: dict[str, Any], status: int, text: str) -> None:
    with pytest.raises(ollama.ResponseError, match=text) as caught:
        client.chat(**{"model": "demo", "messages": [ASK_WEATHER], **fields})
    assert caught.value.status_code == status


def test_embeddings_are_refused_in_words(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="gives no embeddings"):
        client.embed("demo", "x")
    with pytest.raises(ollama.ResponseError, match="downloads no models"):
        client.pull("nope")
