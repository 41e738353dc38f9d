"""Requests that try to break the server: none is a fault, none hangs, and it works on."""

from __future__ import annotations

import json
import random
import socket
import time
from typing import Any

import pytest

from tests.unit.server.conftest import Caller
from tests.unit.server.test_app import data_url

Json = Any
WORDS: list[Json] = [
    *(
        None,
        True,
        -1,
        0,
        1,
        3,
        2**70,
        1.5,
        "",
        "auto",
        "\ud800",
        "a\x00b",
        "<|im_end|>",
        [],
        {},
        [None],
        [[]],
        {"": {}},
    ),
    *({"type": "function"}, {"type": "image_url", "image_url": {"url": "data:,"}}, {"url": "http://127.0.0.1/"}),
]
BASE: dict[str, Json] = {
    "model": "demo",
    "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
    "max_tokens": 2,
    "temperature": 0,
    "stop": ["x"],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "tool_choice": "auto",
    "response_format": {"type": "text"},
    "stream_options": {"include_usage": True},
    "logit_bias": {"1": 1},
    "seed": 1,
    "reasoning_effort": "low",
}
RESPONSE: dict[str, Json] = {
    "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
    "max_output_tokens": 2,
    "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}],
    "text": {"format": {"type": "text"}},
    "reasoning": {"effort": "low"},
}


def places(value: Json) -> list[list[str | int]]:
    """Every place in a JSON value."""
    found: list[list[str | int]] = [[]]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += [[key, *rest] for rest in places(inner)]
    return found


def changed(base: Json, rng: random.Random) -> Json:
    """Put something else in a place, take it out, or add a field there."""
    value = json.loads(json.dumps(base))
    place = rng.choice(places(value)[1:])
    at = value
    for key in place[:-1]:
        at = at[key]
    if rng.random() < 0.2:
        del at[place[-1]]
    else:
        at[place[-1]] = rng.choice(WORDS)
    return value


@pytest.mark.parametrize(("path", "base"), [("/v1/chat/completions", BASE), ("/v1/responses", RESPONSE)])
def test_changed_requests_are_answered_or_refused_and_never_a_fault(caller: Caller, path: str, base: Json) -> None:
    rng = random.Random(7)
    statuses = set()
    for _ in range(60):
        body = changed(base, rng)
        reply = caller.post(path, body)
        assert reply.status in (200, 400, 404), (reply.status, body, reply.body)
        assert reply.status == 200 or reply.json["error"]["message"], body
        statuses.add(reply.status)
    assert statuses >= {200, 400}


SCHEMA_BOMB = {"$defs": {"a0": {"type": "string"}}, "$ref": "#/$defs/a30"}
SCHEMA_BOMB["$defs"].update(  # type: ignore[attr-defined]  # a mapping, as it stands above
    {f"a{i}": {"anyOf": [{"$ref": f"#/$defs/a{i - 1}"}, {"$ref": f"#/$defs/a{i - 1}"}]} for i in range(1, 31)}
)
DEEP: Json = {"type": "string"}
for _ in range(60):
    DEEP = {"type": "array", "items": DEEP}


@pytest.mark.parametrize(
    "form",
    [
        {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA_BOMB}},
        {"type": "json_schema", "json_schema": {"name": "a", "schema": DEEP}},
        {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "string", "pattern": "(a*)*b" * 50}}},
        {"type": "json_schema", "json_schema": {"name": "a", "schema": {"$ref": "#"}}},
        {"type": "json_schema", "json_schema": {"name": "a", "schema": {"$ref": "http://127.0.0.1/s.json"}}},
        {"type": "regex", "regex": "(" * 10_000},
        {"type": "regex", "regex": "(a|a)*" * 2_000},
        {"type": "regex", "regex": "((a{1,1000}){1,1000}){1,1000}"},
        {"type": "lark", "lark": "start: start start | "},
    ],
)
def test_schemas_that_explode_are_refused_or_bounded(caller: Caller, form: Json) -> None:
    started = time.monotonic()
    reply = caller.chat(response_format=form, reasoning_effort="none", max_tokens=2)
    assert reply.status in (200, 400), reply.body
    assert time.monotonic() - started < 20


def test_a_client_that_leaves_while_it_waits_for_the_prompt_frees_everything(caller: Caller) -> None:
    pictures = [{"type": "image_url", "image_url": {"url": data_url(color)}} for color in ("red", "blue", "green")]
    content = [*pictures, {"type": "text", "text": "word " * 1200}]
    body = json.dumps({"messages": [{"role": "user", "content": content}], "max_tokens": 100}).encode()
    host, port = caller.address.split(":")
    request = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    for _ in range(4):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(request + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            time.sleep(0.05)
    deadline = time.monotonic() + 10
    while caller.get("/health").json["working"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert caller.chat().status == 200


def test_a_reader_that_does_not_read_holds_up_nobody(caller: Caller) -> None:
    host, port = caller.address.split(":")
    fields = {"stream": True, "max_tokens": 800, "logprobs": True, "top_logprobs": 20, "reasoning_effort": "none"}
    fields["response_format"] = {"type": "regex", "regex": "[a-z ]{5000}"}
    body = json.dumps({"messages": [{"role": "user", "content": "Hi"}], **fields}).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((host, int(port)))
        connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        time.sleep(0.3)
        started = time.monotonic()
        assert caller.chat().status == 200
        assert time.monotonic() - started < 10
