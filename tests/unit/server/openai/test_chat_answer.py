from __future__ import annotations

from typing import Any

import pytest

from edge.events import Event, FinishEvent, NoteEvent, PromptEvent
from edge.server.openai.chat_answer import stream_chat, whole_body
from tests.unit.server.recorded import CUT_CALL, CUT_EVENTS, EVENTS, RecordedAsking, finish, sent

Json = Any
HEAD = {"id": "chatcmpl-0", "object": "chat.completion.chunk", "created": 0, "model": "demo"}
TIMINGS = {
    "cache_n": 5,
    "prompt_n": 7,
    "prompt_ms": 750.0,
    "prompt_per_second": 14.0,
    "predicted_n": 9,
    "predicted_ms": 1500.0,
    "predicted_per_second": 5.333,
    "memory_bytes": 1,
}
USAGE = {
    "prompt_tokens": 12,
    "completion_tokens": 9,
    "total_tokens": 21,
    "prompt_tokens_details": {"cached_tokens": 5},
    "completion_tokens_details": {"reasoning_tokens": 3},
}


def chunk(delta: Json, reason: str | None = None, *, index: int = 0, **more: Json) -> Json:
    return {**HEAD, "choices": [{"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}], **more}


def call(**piece: Json) -> Json:
    return {"tool_calls": [{"index": 0, **piece}]}


RECORDED = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"reasoning_content": "I call"}),
    chunk({"reasoning_content": " it."}),
    chunk({"content": "One moment"}),
    chunk({"content": "."}),
    chunk(call(id="call_1", type="function", function={"name": "get_weather", "arguments": ""})),
    chunk(call(function={"arguments": '{"city": '})),
    chunk(call(function={"arguments": '"Paris"}'})),
    chunk({}, "tool_calls", timings=TIMINGS),
    {**HEAD, "choices": [], "usage": USAGE},
    "[DONE]",
]


def stream(*args: Any, **fields: Any) -> list[Json]:
    asking: Any = RecordedAsking(*args, **fields)
    return sent(stream_chat(asking, has_usage=True, has_logprobs=False))


def test_a_stream_equals_the_recorded_one_event_by_event() -> None:
    assert stream() == RECORDED


def test_two_choices_are_told_apart_and_what_is_said_once_comes_with_the_last_end() -> None:
    found = stream(num_choices=2)
    for index in (0, 1):
        own = [{**one, "choices": [{**choice, "index": 0} for choice in one["choices"]]} for one in found[:-2]
               if one["choices"][0]["index"] == index]  # fmt: skip
        expected = [dict(one) for one in RECORDED[:-2]]
        if index == 0:
            expected[-1].pop("timings")
        assert own == expected
    assert found[-2]["usage"]["completion_tokens"] == 18
    assert found[-2]["usage"]["prompt_tokens"] == 12


def test_hints_and_notes_come_as_warnings_with_the_end() -> None:
    events: list[Event] = [PromptEvent(12, 5, (), ("a hint",)), NoteEvent("a note"), finish("repetition")]
    last = stream(events)[-3]
    assert last["warnings"] == ["a hint", "a note"]
    assert last["choices"][0]["finish_reason"] == "length"
    engine: Any = None
    whole = whole_body(engine, [events], model="demo", has_logprobs=False)
    assert (whole["warnings"], whole["choices"][0]["finish_reason"]) == (["a hint", "a note"], "length")


def test_a_whole_answer_is_what_its_stream_joins_to() -> None:
    engine: Any = None
    body = whole_body(engine, [EVENTS], model="demo", has_logprobs=False)
    function = {"name": "get_weather", "arguments": '{"city": "Paris"}'}
    assert body["choices"] == [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "One moment.",
                "refusal": None,
                "reasoning_content": "I call it.",
                "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
            },
            "logprobs": None,
            "finish_reason": "tool_calls",
        }
    ]
    assert (body["usage"], body["timings"]) == (USAGE, TIMINGS)
    assert "warnings" not in body


def test_a_cancelled_answer_ends_with_an_error_and_no_end() -> None:
    cancelled = [*(event for event in EVENTS if not isinstance(event, FinishEvent)), finish("cancelled")]
    found = stream(cancelled)
    assert found[:-1] == RECORDED[:8]
    assert found[-1]["error"]["code"] == "cancelled"


@pytest.mark.parametrize("cut", range(1, len(EVENTS)))
def test_a_stream_never_has_text_and_thought_in_one_chunk(cut: int) -> None:
    for one in stream(EVENTS[cut:]):
        deltas = [choice["delta"] for choice in one["choices"]] if isinstance(one, dict) else []
        assert all(len({"content", "reasoning_content", "tool_calls"} & set(delta)) <= 1 for delta in deltas)


def test_a_call_that_was_cut_off_is_the_same_whole_and_streamed() -> None:
    engine: Any = None
    (choice,) = whole_body(engine, [CUT_EVENTS], model="demo", has_logprobs=False)["choices"]
    function = {"name": CUT_CALL.name, "arguments": CUT_CALL.arguments}
    assert choice["message"]["tool_calls"] == [{"id": "call_1", "type": "function", "function": function}]
    assert (choice["message"]["content"], choice["finish_reason"]) == (None, "length")
    found = [one["choices"][0] for one in stream(CUT_EVENTS)[:-2]]
    pieces = [one["delta"]["tool_calls"][0]["function"]["arguments"] for one in found[1:-1]]
    assert ("".join(pieces), found[-1]["finish_reason"]) == (CUT_CALL.arguments, "length")
    assert [one["delta"].get("content") for one in found] == ["", None, None, None, None]
