"""Requests with something wrong in them: a good request of every endpoint, changed in one to three places."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

Json = Any
WORDS: list[Json] = [
    *(None, True, -1, 0, 1, 3, 2**70, 1.5, 1e308, "", "auto", "\ud800", "a\x00b", "<|im_end|>", "9" * 300, [], {}),
    *([None], [[]], {"": {}}, ["x"] * 100, {"a" * 300: 1}, {"type": "function"}, {"url": "http://127.0.0.1/"}),
    *(
        {"type": "image_url", "image_url": {"url": "data:,"}},
        {"type": "text"},
        {"$ref": "#"},
        "data:image/png;base64,",
        "data:,\ud800",
    ),
]
"""What is put in the place of something else."""
_SCHEMA = {"type": "object", "properties": {"a": {"enum": ["b"]}}, "required": ["a"]}
_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4//8/AAX+Av4N70a4AAAAAElFTkSuQmCC"
_TOOL = {"name": "f", "description": "d", "parameters": {"type": "object"}}
BASES: dict[str, Json] = {
    "/v1/chat/completions": {
        "model": "demo",
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "1"},
        ],
        "max_tokens": 1,
        "temperature": 0,
        "stop": ["x"],
        "tools": [{"type": "function", "function": _TOOL}],
        "tool_choice": "auto",
        "response_format": {"type": "text"},
        "stream_options": {"include_usage": True},
        "logit_bias": {"1": 1},
        "seed": 1,
        "reasoning_effort": "low",
        "logprobs": True,
        "top_logprobs": 1,
    },
    "/v1/completions": {"prompt": "x", "max_tokens": 1, "logprobs": 1, "n": 1, "stop": "y", "stream": True},
    "/v1/responses": {
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
        "max_output_tokens": 1,
        "tools": [{"type": "function", **_TOOL}],
        "text": {"format": {"type": "json_schema", "name": "a", "schema": _SCHEMA}},
        "reasoning": {"effort": "none"},
        "instructions": "i",
    },
    "/v1/messages": {
        "messages": [
            {"role": "user", "content": [
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": _PIXEL}},
                {"type": "text", "text": "Hi"}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "1"}]},
        ],
        "max_tokens": 1,
        "system": [{"type": "text", "text": "s"}],
        "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}}],
        "thinking": {"type": "disabled"},
        "stop_sequences": ["x"],
    },
    "/v1/messages/count_tokens": {"messages": [{"role": "user", "content": "Hi"}], "system": "s"},
    "/api/chat": {
        "model": "demo",
        "messages": [{"role": "user", "content": "Hi", "images": [_PIXEL]}],
        "options": {"num_predict": 1, "temperature": 0, "stop": ["x"], "seed": 1},
        "format": _SCHEMA,
        "think": False,
        "keep_alive": "5m",
        "tools": [{"type": "function", "function": _TOOL}],
    },
    "/api/generate": {"prompt": "Hi", "images": [], "options": {"num_predict": 1}, "raw": True, "stream": False},
    "/api/show": {"model": "demo"},
    "/api/embed": {"model": "demo", "input": "x"},
}  # fmt: skip


def mutated(seed: int) -> Iterator[tuple[str, bytes]]:
    """Give paths and bodies without end: JSON with changed places, and now and then bytes that are no JSON."""
    rng = random.Random(seed)
    paths = sorted(BASES)
    while True:
        path = rng.choice(paths)
        value = BASES[path]
        for _ in range(rng.choice((1, 1, 2, 3))):
            value = _changed(value, rng)
        data = json.dumps(value).encode()
        yield path, _broken(data, rng) if rng.random() < 0.1 else data


def _places(value: Json) -> list[list[str | int]]:
    """Every place in a JSON value."""
    found: list[list[str | int]] = [[]]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += [[key, *rest] for rest in _places(inner)]
    return found


def _changed(base: Json, rng: random.Random) -> Json:
    """Put something else in a place, take it out, double it, or add a field there."""
    value = json.loads(json.dumps(base))
    places = _places(value)[1:]
    if not places:
        return value
    place = rng.choice(places)
    at = value
    for key in place[:-1]:
        at = at[key]
    chance = rng.random()
    if chance < 0.2:
        del at[place[-1]]
    elif chance < 0.3 and isinstance(at, list):
        at += at * 3
    elif chance < 0.4 and isinstance(at, dict):
        at[rng.choice(("extra", "$ref", "type", "\u2028", ""))] = rng.choice(WORDS)
    else:
        at[place[-1]] = rng.choice(WORDS)
    return value


def _broken(data: bytes, rng: random.Random) -> bytes:
    """Cut, flip or insert bytes."""
    place = rng.randrange(len(data))
    piece = rng.choice((b"", b"\xff", b"\x00", b"[", b"}", b'"', b"NaN", b"1e999", b"\\u", b"[" * 3000))
    return data[:place] + piece + data[place + rng.choice((0, 1, 50)) :]
