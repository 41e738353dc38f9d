from __future__ import annotations

from typing import Any

import pytest

from edge.server.errors import ApiError
from edge.server.fields import Fields
from edge.server.openai.responses_request import read_items
from edge.server.openai.responses_store import ResponseStore, StoredResponse
from tests.unit.server.conftest import Caller

CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}


def messages(*items: Any) -> list[Any]:
    return read_items(Fields({"input": list(items)}))[0]


def test_items_in_a_row_become_one_message_of_the_assistant() -> None:
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}
    text = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Wait."}]}
    second = {**CALL, "call_id": "c2"}
    parts = [{"type": "input_text", "text": "sunny"}, {"type": "input_image", "image_url": "data:,"}]
    result = {"type": "function_call_output", "call_id": "c2", "output": parts}
    found = messages({"role": "user", "content": "Hi"}, thought, text, CALL, second, result)
    assert [message["role"] for message in found] == ["user", "assistant", "tool"]
    assert found[1]["reasoning_content"] == "hm"
    assert found[1]["content"] == [{"type": "output_text", "text": "Wait."}]
    assert [call["id"] for call in found[1]["tool_calls"]] == ["c1", "c2"]
    assert found[2] == {"role": "tool", "tool_call_id": "c2", "content": parts, "name": "f"}


def test_text_alone_is_a_question() -> None:
    assert read_items(Fields({"input": "Hi"}))[0] == [{"role": "user", "content": "Hi"}]


def test_items_that_nothing_here_makes_are_left_out_and_named() -> None:
    found, skipped = read_items(Fields({"input": [{"role": "user", "content": "Hi"}, {"type": "web_search_call"}]}))
    assert (len(found), skipped) == (1, ["input[1].type=web_search_call"])


@pytest.mark.parametrize("given", [None, "", [], {}, [3], [{"role": "user"}], [{**CALL, "arguments": {}}]])
def test_other_input_is_refused(given: Any) -> None:
    with pytest.raises(ApiError, match=r"^input"):
        read_items(Fields({"input": given}))


def stored(name: str, *, owner: str = "me", size: int = 10) -> StoredResponse:
    return StoredResponse(owner, [{"role": "user", "content": "x" * size}], {"id": name})


def test_the_oldest_responses_go_first() -> None:
    store = ResponseStore(max_bytes=4000)
    for name in ("a", "b"):
        store.keep(stored(name, size=1000))
    store.get("a", owner="me")
    store.keep(stored("c", size=1000))
    assert [name for name in "abc" if name in store._entries] == ["a", "c"]
    store.keep(stored("huge", size=9000))
    assert "huge" not in store._entries


def test_another_client_does_not_find_a_response() -> None:
    store = ResponseStore(max_bytes=9000)
    store.keep(stored("a"))
    for act in (store.get, store.delete):
        with pytest.raises(ApiError) as refused:
            act("a", owner="other")
        assert refused.value.status == 404
    store.delete("a", owner="me")
    with pytest.raises(ApiError):
        store.get("a", owner="me")
    assert store._held_bytes == 0


def test_a_stream_ends_with_the_object_that_is_kept(caller: Caller) -> None:
    body = {"input": "Hi", "max_output_tokens": 300, "temperature": 0, "stream": True}
    events = caller.post("/v1/responses", body).events
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    final = events[-1]["response"]
    text = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    thought = "".join(event["delta"] for event in events if event["type"] == "response.reasoning_summary_text.delta")
    assert [item["type"] for item in final["output"]] == ["reasoning", "message"]
    assert final["output"][0]["summary"][0]["text"] == thought
    assert final["output"][1]["content"][0]["text"] == text
    assert caller.get(f"/v1/responses/{final['id']}").json == final
    whole = caller.post("/v1/responses", {**body, "stream": False}).json
    assert whole["output"][1]["content"] == final["output"][1]["content"]
    assert set(whole) == set(final)


def test_what_is_not_stored_is_not_found(caller: Caller) -> None:
    reply = caller.post("/v1/responses", {"input": "Hi", "max_output_tokens": 1, "store": False}).json
    assert reply["status"] == "incomplete"
    assert reply["incomplete_details"] == {"reason": "max_output_tokens"}
    assert caller.get(f"/v1/responses/{reply['id']}").status == 404


def test_instructions_are_not_carried_over(caller: Caller) -> None:
    fields = {"max_output_tokens": 1, "temperature": 0}
    first = caller.post("/v1/responses", {"input": "Hi", "instructions": "word " * 200, **fields}).json
    second = caller.post("/v1/responses", {"input": "Hi", "previous_response_id": first["id"], **fields}).json
    assert second["usage"]["input_tokens"] < first["usage"]["input_tokens"]


def test_a_stop_string_ends_a_response_and_several_answers_are_refused(caller: Caller) -> None:
    fields = {"input": "What do you see?", "temperature": 0, "reasoning": {"effort": "none"}, "max_output_tokens": 60}
    whole, cut = (caller.post("/v1/responses", {**fields, **more}).json for more in ({}, {"stop": "see"}))
    text, shorter = (one["output"][-1]["content"][0]["text"] for one in (whole, cut))
    assert (shorter, cut["status"]) == (text[: text.index("see")], "completed")
    refused = caller.post("/v1/responses", {**fields, "n": 2})
    assert (refused.status, refused.json["error"]["param"]) == (400, "n")
