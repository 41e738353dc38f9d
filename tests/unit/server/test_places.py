from __future__ import annotations

from typing import Any

import pytest

from edge.server.errors import ApiError
from edge.server.places import in_places, joined_places
from tests.unit.server.conftest import Caller

Json = Any
SYSTEM, USER = {"role": "system", "content": "s"}, {"role": "user", "content": "Hi"}
ELSEWHERE = "http://127.0.0.1/a.png"
ODD = {
    "role": "user",
    "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": ELSEWHERE}}],
}
BROKEN = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
CALLS = {
    "role": "assistant",
    "tool_calls": [{"id": one, "type": "function", "function": {"name": "f", "arguments": "{}"}} for one in "ab"],
}
RESULT_A = {"role": "tool", "tool_call_id": "a", "content": [BROKEN]}
RESULT_B = {"role": "tool", "tool_call_id": "b", "content": "b"}


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([USER, SYSTEM], ("0", "1")),
        ([SYSTEM, USER], ("0", "1")),
        ([SYSTEM, SYSTEM, SYSTEM, USER, SYSTEM], ("0", "3", "4")),
        ([], ()),
    ],
)
def test_joined_messages_stand_where_the_first_does(messages: list[Json], expected: tuple[str, ...]) -> None:
    assert joined_places(messages, [str(place) for place in range(len(messages))]) == expected


def test_what_an_error_tells_beside_its_text_is_kept() -> None:
    given = ApiError("invalid_request", "messages[0]: no", status=405, code="c", retry_s=3, allow="GET, POST")
    told = in_places(given, ("system",))
    fields = ("kind", "status", "param", "code", "retry_s", "allow")
    assert [getattr(told, one) for one in fields] == [getattr(given, one) for one in fields]


def test_a_text_without_a_place_gets_that_of_its_param() -> None:
    told = in_places(ApiError("invalid_request", "image 1: no picture", param="messages[1]"), ("system", "messages[0]"))
    assert (str(told), told.param) == ("messages[0]: image 1: no picture", "messages[0]")


def test_an_error_names_what_was_sent_and_keeps_the_rest() -> None:
    error = ApiError("invalid_request", "messages[1].content: no", param="messages[1].content", code="c", retry_s=3)
    told = in_places(error, ("system", "input[4]"))
    assert (str(told), told.param) == ("input[4].content: no", "input[4].content")
    assert (told.kind, told.status, told.code, told.retry_s) == (error.kind, 400, "c", 3)
    for other in (ApiError("internal", "no messages[1]"), ApiError("internal", "messages[7]: no")):
        assert in_places(other, ("a", "b")) is other


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        ("/v1/chat/completions", {"messages": [SYSTEM, SYSTEM, USER, ODD]}, "messages[3].content[1]"),
        ("/v1/chat/completions/input_tokens", {"messages": [SYSTEM, SYSTEM, ODD]}, "messages[2].content[1]"),
        ("/v1/chat/completions", {"messages": [SYSTEM, SYSTEM, {**USER, "odd": 1}]}, "messages[2]: unknown key odd"),
        ("/api/chat", {"messages": [SYSTEM, SYSTEM, {"role": "odd"}, USER]}, "messages[2]: the role"),
        ("/api/generate", {"prompt": "\ud800", "system": "s"}, "prompt: the text"),
        ("/v1/responses", {"input": [USER, ODD], "instructions": "s"}, "input[1].content[1]"),
        ("/v1/responses", {"input": [SYSTEM, USER, {"role": "odd", "content": ""}]}, "input[2]: the role"),
        (
            "/v1/messages",
            {"system": "s", "messages": [USER, {"role": "user", "content": [
                {"type": "image", "source": {"type": "url", "url": ELSEWHERE}}]}]},
            "messages[1].content[0]",
        ),
        ("/v1/chat/completions", {"messages": [USER, CALLS, RESULT_B, RESULT_A]}, "messages[3]: image 1: "),
        ("/v1/chat/completions", {"messages": [USER, CALLS, {**RESULT_B, "odd": 1}, RESULT_A]}, "messages[2]: unknown"),
        (
            "/v1/responses",
            {"input": [
                {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
                {"type": "function_call", "call_id": "b", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "b", "output": "b"},
                {"type": "function_call_output", "call_id": "a", "output": [BROKEN]}]},
            "input[3]: image 1: ",
        ),
        (
            "/v1/messages",
            {"system": "s", "messages": [
                {"role": "assistant", "content": [
                    {"type": "tool_use", "id": one, "name": "f", "input": {}} for one in ("a", "b")]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "b", "content": "b"},
                    {"type": "tool_result", "tool_use_id": "a", "content": [
                        {"type": "image", "source": {"type": "base64", "data": "AAAA"}}]}]}]},
            "messages[1]: image 1: ",
        ),
        ("/api/chat", {"messages": [SYSTEM, SYSTEM, USER, {**USER, "images": ["AAAA"]}]}, "messages[3]: image 1: "),
    ],
)  # fmt: skip
def test_refusals_of_all_protocols_name_the_clients_own_places(
    caller: Caller, path: str, body: Json, place: str
) -> None:
    reply = caller.post(path, {"max_tokens": 4, **body} if path == "/v1/messages" else body)
    assert reply.status == 400
    error = reply.json["error"]
    assert (error if path.startswith("/api/") else error["message"]).startswith(place)
    assert "param" not in error or (error["param"] and place.startswith(error["param"]))
