from __future__ import annotations

from typing import Any

import pytest

from edge.server.anthropic.orphans import refuse_orphans
from edge.server.errors import ApiError
from tests.unit.server.conftest import Caller

Json = Any
USE = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "a", "content": "21"}
TEXT = {"type": "text", "text": "x"}


def user(*blocks: Json) -> Json:
    return {"role": "user", "content": list(blocks)}


def answer(*blocks: Json) -> Json:
    return {"role": "assistant", "content": list(blocks)}


@pytest.mark.parametrize(
    "messages",
    [
        [user(TEXT), answer(USE), user(RESULT)],
        [user(TEXT), answer(USE), answer(TEXT), user(TEXT), user(RESULT)],
        [answer(USE, {**USE, "id": "b"}), user({**RESULT, "tool_use_id": "b"}, RESULT)],
        [answer(USE), user(RESULT), answer(USE), user(RESULT), {"role": "assistant", "content": "text"}],
    ],
)
def test_a_result_behind_its_call_is_taken(messages: list[Json]) -> None:
    refuse_orphans(messages)


@pytest.mark.parametrize(
    ("messages", "place"),
    [
        ([user(RESULT)], "messages[0].content[0].tool_use_id"),
        ([answer(USE), user(TEXT, {**RESULT, "tool_use_id": "b"})], "messages[1].content[1].tool_use_id"),
        ([answer(USE), user(RESULT), answer(TEXT), user(RESULT)], "messages[3].content[0].tool_use_id"),
    ],
)
def test_a_result_without_its_call_is_refused_at_its_place(messages: list[Json], place: str) -> None:
    with pytest.raises(ApiError, match="expected the id of a tool_use in the assistant's message before it") as refused:
        refuse_orphans(messages)
    assert refused.value.param == place


def test_both_endpoints_refuse_them(caller: Caller) -> None:
    for path in ("/v1/messages", "/v1/messages/count_tokens"):
        reply = caller.post(path, {"max_tokens": 2, "messages": [user(RESULT)]})
        assert (reply.status, reply.json["error"]["type"]) == (400, "invalid_request_error")
