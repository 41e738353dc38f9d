"""Requests that try to break the server: none is a fault, none hangs, and it works on."""

from __future__ import annotations

import itertools
import json
import socket
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from edge.server.arguments import ServerLimits, ServerOptions
from edge.server.running import BackgroundServer
from tests.unit.server.conftest import Caller, Reply
from tests.unit.server.mutated import mutated
from tests.unit.server.test_app import data_url

Json = Any


FULL = 10_000
HANG_S = 300.0
"""Far above what a request of one token takes, even on a busy machine."""


@pytest.fixture(scope="module")
def brief() -> Iterator[Caller]:
    """A server whose answers are short even where a request sets no limit."""
    options = ServerOptions(port=0, models=("demo",), limits=ServerLimits(answer_tokens=4))
    with BackgroundServer(options) as running:
        yield Caller(running.url, timeout_s=HANG_S)


def is_well(path: str, reply: Reply) -> bool:
    """Whether a reply is an answer, or a refusal in the shape of its protocol."""
    if reply.status == 501:  # there are no embeddings
        return path == "/api/embed"
    if reply.status != 200 and reply.status not in (400, 404):
        return False
    if reply.status == 200:
        return b'"error"' not in reply.body or b'"error":null' in reply.body
    error = reply.json["error"]
    return bool(error if path.startswith("/api/") else error["message"])


@pytest.mark.parametrize("count", [150, pytest.param(FULL, marks=pytest.mark.long)])
def test_mutated_requests_are_answered_or_refused_and_leave_no_memory_behind(brief: Caller, count: int) -> None:
    statuses: Counter[int] = Counter()
    process, early_bytes = psutil.Process(), 0
    for number, (path, body) in enumerate(itertools.islice(mutated(7), count)):
        reply = brief.post(path, body)
        assert is_well(path, reply), (path, body, reply.status, reply.body)
        statuses[reply.status] += 1
        if number == count // 5:
            early_bytes = process.memory_info().rss
    assert statuses.keys() >= {200, 400}
    assert process.memory_info().rss < early_bytes + 50_000_000
    while brief.get("/health").json["working"]:
        time.sleep(0.05)


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


ASKED: Json = {"messages": [{"role": "user", "content": "Hi"}]}
DOUBLED: Json = {"type": "integer"}
for _ in range(40):  # as JSON it stays small; all combinations of its halves would not
    DOUBLED = {"anyOf": [{"type": "object", "properties": {"a": DOUBLED}, "required": ["a"]}, {"type": "null"}]}
HUNGRY: Json = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^((a+)+)+$|" + "(b|b?)" * 500}}}


def bodies(schema: Json) -> dict[str, Json]:
    """Every place of a request in which a schema may stand, and the endpoint behind the space."""
    form = {"type": "json_schema", "name": "a", "schema": schema}
    function = {"name": "f", "parameters": schema, "strict": True}
    tool = {"name": "f", "input_schema": schema}
    return {
        "/v1/responses": {"input": "Hi", "text": {"format": form}},
        "/v1/messages": {**ASKED, "output_config": {"format": form}},
        "/v1/messages tool": {**ASKED, "tools": [tool], "tool_choice": {"type": "any"}},
        "/v1/chat/completions tool": {**ASKED, "tools": [{"function": function}]},
        "/api/chat": {**ASKED, "format": schema, "think": False, "stream": False},
    }


@pytest.mark.parametrize("schema", [SCHEMA_BOMB, DOUBLED, HUNGRY], ids=["exponential", "deep", "regex"])
@pytest.mark.parametrize("door", bodies({}))
def test_every_door_of_a_schema_is_as_strong(brief: Caller, door: str, schema: Json) -> None:
    path = door.split(" ")[0]
    started = time.monotonic()
    reply = brief.post(path, bodies(schema)[door])
    assert is_well(path, reply), reply.body
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
