from __future__ import annotations

from typing import Any

import pytest

from tests.unit.server.conftest import Caller

QUESTION = {"model": "demo", "max_tokens": 4, "messages": [{"role": "user", "content": "Hi"}]}


def test_a_query_and_unknown_headers_do_not_matter(caller: Caller) -> None:
    headers = {"anthropic-version": "2030-01-01", "anthropic-beta": "odd", "x-api-key": "any"}
    reply = caller.post("/v1/messages?beta=true", {**QUESTION, "context_management": {}}, headers)
    assert (reply.status, reply.json["type"], reply.json["model"]) == (200, "message", "demo")
    assert reply.headers["x-ignored-fields"] == "context_management"


def test_a_stream_has_named_events(caller: Caller) -> None:
    names = [line[7:] for line in caller.post("/v1/messages", {**QUESTION, "stream": True}).body.decode().split("\n")]
    names = [name for name in names if name in ("message_start", "ping", "message_delta", "message_stop")]
    assert names == ["message_start", "ping", "message_delta", "message_stop"]


def test_tokens_are_counted_without_a_limit_of_them(caller: Caller) -> None:
    body = {"model": "demo", "messages": QUESTION["messages"]}
    assert caller.post("/v1/messages/count_tokens", body).json["input_tokens"] > 4


def test_more_tokens_than_the_context_holds_are_no_error(caller: Caller) -> None:
    assert caller.post("/v1/messages", {**QUESTION, "max_tokens": 32_000}).json["stop_reason"] == "end_turn"


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({"model": "nope"}, 404, "not_found_error"),
        ({"messages": []}, 400, "invalid_request_error"),
        ({"max_tokens": "x"}, 400, "invalid_request_error"),
        ({"temperature": 9000, "top_p": 3}, 400, "invalid_request_error"),
        ({"messages": [{"role": "user", "content": "word " * 9000}]}, 400, "invalid_request_error"),
    ],
)
def test_errors_have_the_protocols_shape(caller: Caller, body: dict[str, Any], status: int, kind: str) -> None:
    reply = caller.post("/v1/messages", {**QUESTION, **body})
    assert (reply.status, reply.json["type"], reply.json["error"]["type"]) == (status, "error", kind)
    assert reply.json["request_id"] == reply.headers["request-id"] == reply.headers["x-request-id"]
