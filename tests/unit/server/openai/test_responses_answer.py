from __future__ import annotations

from typing import Any

import pytest

from edge.events import FinishEvent, NoteEvent, TextEvent, ToolCallDeltaEvent
from edge.server.openai.responses_answer import Builder, stream_response
from tests.unit.server.recorded import CUT_CALL, CUT_EVENTS, EVENTS, PROMPT, RecordedAsking, finish, sent

Json = Any
HEAD = {"id": "resp_0", "object": "response", "created_at": 0, "model": "demo"}
THOUGHT = {"item_id": "rs_1", "output_index": 0, "summary_index": 0}
TEXT = {"item_id": "msg_2", "output_index": 1, "content_index": 0}
ARGUMENTS = {"item_id": "fc_3", "output_index": 2}
PART = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
USAGE = {
    "input_tokens": 12,
    "input_tokens_details": {"cached_tokens": 5},
    "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 21,
}


def response(status: str, output: list[Json], usage: Json = None) -> Json:
    ends = {"error": None, "incomplete_details": None, "usage": usage}
    return {"response": {**HEAD, "status": status, "output": output, **ends, "tools": []}}


def reasoning(status: str, summary: list[Json]) -> Json:
    return {"id": "rs_1", "type": "reasoning", "status": status, "summary": summary}


def message(status: str, content: list[Json]) -> Json:
    return {"id": "msg_2", "type": "message", "status": status, "role": "assistant", "content": content}


def call(status: str, arguments: str) -> Json:
    fields = {"call_id": "call_1", "name": "get_weather", "arguments": arguments}
    return {"id": "fc_3", "type": "function_call", "status": status, **fields}


SUMMARY = {"type": "summary_text", "text": "I call it."}
SAID = {**PART, "text": "One moment."}
CALL = '{"city": "Paris"}'
OUTPUT = [reasoning("completed", [SUMMARY]), message("completed", [SAID]), call("completed", CALL)]
RECORDED: list[tuple[str, Json]] = [
    ("response.created", response("in_progress", [])),
    ("response.in_progress", response("in_progress", [])),
    ("response.output_item.added", {"output_index": 0, "item": reasoning("in_progress", [])}),
    ("response.reasoning_summary_part.added", {**THOUGHT, "part": {**SUMMARY, "text": ""}}),
    ("response.reasoning_summary_text.delta", {**THOUGHT, "delta": "I call"}),
    ("response.reasoning_summary_text.delta", {**THOUGHT, "delta": " it."}),
    ("response.reasoning_summary_text.done", {**THOUGHT, "text": "I call it."}),
    ("response.reasoning_summary_part.done", {**THOUGHT, "part": SUMMARY}),
    ("response.output_item.done", {"output_index": 0, "item": OUTPUT[0]}),
    ("response.output_item.added", {"output_index": 1, "item": message("in_progress", [])}),
    ("response.content_part.added", {**TEXT, "part": PART}),
    ("response.output_text.delta", {**TEXT, "delta": "One moment", "logprobs": []}),
    ("response.output_text.delta", {**TEXT, "delta": ".", "logprobs": []}),
    ("response.output_text.done", {**TEXT, "text": "One moment.", "logprobs": []}),
    ("response.content_part.done", {**TEXT, "part": SAID}),
    ("response.output_item.done", {"output_index": 1, "item": OUTPUT[1]}),
    ("response.output_item.added", {"output_index": 2, "item": call("in_progress", "")}),
    ("response.function_call_arguments.delta", {**ARGUMENTS, "delta": '{"city": '}),
    ("response.function_call_arguments.delta", {**ARGUMENTS, "delta": '"Paris"}'}),
    ("response.function_call_arguments.done", {**ARGUMENTS, "name": "get_weather", "arguments": CALL}),
    ("response.output_item.done", {"output_index": 2, "item": OUTPUT[2]}),
    ("response.completed", response("completed", OUTPUT, USAGE)),
]


def stream(events: list[Any]) -> tuple[list[Json], list[int]]:
    asking: Any = RecordedAsking(events)
    kept: list[int] = []
    builder = Builder(asking, echo={"tools": []}, has_logprobs=False)
    return sent(stream_response(asking, builder, keep=lambda: kept.append(1))), kept


def test_a_stream_equals_the_recorded_one_event_by_event() -> None:
    found, kept = stream(EVENTS)
    expected = [{"type": kind, "sequence_number": i, **body} for i, (kind, body) in enumerate(RECORDED)]
    assert found == expected
    assert kept == [1]


@pytest.mark.parametrize("reason", ["length", "repetition"])
def test_an_answer_that_was_cut_is_incomplete(reason: Any) -> None:
    text = [event for event in EVENTS if not isinstance(event, FinishEvent)][:4]
    found, kept = stream([*text, NoteEvent("cut"), finish(reason)])
    last = found[-1]
    assert (last["type"], last["response"]["status"]) == ("response.incomplete", "incomplete")
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert last["response"]["output"][-1]["status"] == "incomplete"
    assert last["response"]["warnings"] == ["cut"]
    assert kept == [1]


def test_a_cancelled_answer_fails_and_is_not_kept() -> None:
    found, kept = stream([*EVENTS[:4], finish("cancelled")])
    assert [one["type"] for one in found[-2:]] == ["response.failed", "error"]
    assert found[-2]["response"]["error"]["code"] == "cancelled"
    assert kept == []


def test_a_call_that_was_cut_off_is_an_incomplete_item() -> None:
    lines, _ = stream(CUT_EVENTS)
    (item,) = lines[-1]["response"]["output"]
    assert (item["type"], item["status"], item["arguments"]) == ("function_call", "incomplete", CUT_CALL.arguments)
    assert (lines[-1]["type"], lines[-1]["response"]["status"]) == ("response.incomplete", "incomplete")
    assert lines[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert not [line for line in lines if line["type"].startswith("response.output_text")]


def test_a_call_that_broke_is_not_told_as_completed() -> None:
    broken = [PROMPT, ToolCallDeltaEvent(0, "call_1", "f", "{"), NoteEvent("It is void."), TextEvent("<tool_call>")]
    lines, _ = stream([*broken, finish("stop")])
    statuses = [(item["type"], item["status"]) for item in lines[-1]["response"]["output"]]
    assert statuses == [("function_call", "incomplete"), ("message", "completed")]
