from __future__ import annotations

from typing import Any

import pytest

from edge.server.errors import ApiError
from edge.server.openai.orphans import refuse_orphans
from tests.unit.server.conftest import Caller

Json = Any
USER = {"role": "user", "content": "Hi"}


def calling(*ids: str | None) -> Json:
    calls = [{"id": one, "type": "function", "function": {"name": "f", "arguments": "{}"}} for one in ids]
    return {"role": "assistant", "tool_calls": calls}


def result(call_id: str | None) -> Json:
    return {"role": "tool", "tool_call_id": call_id, "content": "21"}


@pytest.mark.parametrize(
    "messages",
    [
        [USER, calling("a"), result("a")],
        [USER, calling("a", "b"), result("b"), result("a"), USER],
        [USER, calling("a"), result("a"), calling("b"), result("b")],
        [USER, calling("a"), result(None)],
        [USER, calling(None), result("made up")],
        [USER, calling("a", "b"), result("a")],
        [USER, {"role": "assistant", "content": "x", "tool_calls": None}, None],
    ],
)
def test_a_result_behind_its_call_is_taken(messages: list[Json]) -> None:
    refuse_orphans(messages)


@pytest.mark.parametrize(
    ("messages", "place"),
    [
        ([result("a")], 0),
        ([USER, result(None)], 1),
        ([USER, calling("a"), result("b")], 2),
        ([USER, calling("a"), result("a"), result("b")], 3),
        ([USER, calling("a"), USER, result("a")], 3),
        ([USER, calling("a"), result("a"), {"role": "assistant", "content": "x"}, result("a")], 4),
    ],
)
def test_a_result_without_its_call_is_refused_at_its_place(messages: list[Json], place: int) -> None:
    with pytest.raises(ApiError, match="is a tool's result; expected tool_calls") as refused:
        refuse_orphans(messages)
    assert refused.value.param == f"messages[{place}]"


def test_a_far_call_counts_where_the_protocol_has_it_so() -> None:
    messages = [calling("a"), USER, result("a"), result("b")]
    with pytest.raises(ApiError, match=r"^y: is a tool's result; expected a function_call with the id 'b' before it"):
        refuse_orphans(messages, places=("v", "w", "x", "y"), may_be_far=True)


def test_endpoints_refuse_orphans_and_a_response_finds_the_call_in_the_one_before(caller: Caller) -> None:
    chat = caller.post("/v1/chat/completions", {"messages": [USER, result("a")]})
    assert (chat.status, chat.json["error"]["param"]) == (400, "messages[1]")
    tool = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
    fields = {"tools": [tool], "reasoning": {"effort": "none"}, "max_output_tokens": 60}
    first = caller.post("/v1/responses", {**fields, "input": "Hi", "tool_choice": "required"}).json
    call_id = next(item["call_id"] for item in first["output"] if item["type"] == "function_call")
    answer = {"type": "function_call_output", "call_id": call_id, "output": "21"}
    later = {**fields, "previous_response_id": first["id"], "max_output_tokens": 2}
    assert caller.post("/v1/responses", {**later, "input": [answer]}).status == 200
    for body in ({**later, "input": [{**answer, "call_id": "other"}]}, {"input": [answer]}):
        refused = caller.post("/v1/responses", body)
        assert (refused.status, refused.json["error"]["param"]) == (400, "input[0]")
