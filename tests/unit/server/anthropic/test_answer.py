from __future__ import annotations

from typing import Any

import pytest

from edge.events import FinishEvent
from edge.server.anthropic.answer import EventWriter, message_body, stop_body
from edge.server.anthropic.errors import error_body
from edge.server.errors import ApiError
from tests.unit.server.recorded import CUT_CALL, CUT_EVENTS, EVENTS, PROMPT, finish

START_USAGE = {
    "input_tokens": 7,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 5,
    "output_tokens": 0,
}
USAGE = {**START_USAGE, "output_tokens": 9}
TOOL_USE = {"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {}}


def start(index: int, **block: Any) -> tuple[str, dict[str, Any]]:
    return "content_block_start", {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, kind: str, **piece: Any) -> tuple[str, dict[str, Any]]:
    return "content_block_delta", {"type": "content_block_delta", "index": index, "delta": {"type": kind, **piece}}


def stop(index: int) -> tuple[str, dict[str, Any]]:
    return "content_block_stop", {"type": "content_block_stop", "index": index}


RECORDED: list[tuple[str, dict[str, Any]]] = [
    (
        "message_start",
        {
            "type": "message_start",
            "message": {
                "id": "msg_X",
                "type": "message",
                "role": "assistant",
                "model": "demo",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": START_USAGE,
            },
        },
    ),
    ("ping", {"type": "ping"}),
    start(0, type="thinking", thinking="", signature=""),
    delta(0, "thinking_delta", thinking="I call"),
    delta(0, "thinking_delta", thinking=" it."),
    delta(0, "signature_delta", signature=""),
    stop(0),
    start(1, type="text", text=""),
    delta(1, "text_delta", text="One moment"),
    delta(1, "text_delta", text="."),
    stop(1),
    start(2, **TOOL_USE),
    delta(2, "input_json_delta", partial_json='{"city": '),
    delta(2, "input_json_delta", partial_json='"Paris"}'),
    stop(2),
    (
        "message_delta",
        {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None}, "usage": USAGE},
    ),
    ("message_stop", {"type": "message_stop"}),
]


def write(*, is_thought_shown: bool = True) -> list[tuple[str, dict[str, Any]]]:
    writer = EventWriter(model="demo", context_tokens=100, is_thought_shown=is_thought_shown)
    events = [*writer.begin(PROMPT), *(one for event in EVENTS for one in writer.write(event))]
    assert events[0][1]["message"]["id"].startswith("msg_")
    events[0][1]["message"]["id"] = "msg_X"
    return events


def test_a_stream_equals_the_recorded_one_event_by_event() -> None:
    assert write() == RECORDED


def test_an_omitted_thought_is_a_block_without_text() -> None:
    without = [one for one in RECORDED if one[1].get("delta", {}).get("type") != "thinking_delta"]
    assert write(is_thought_shown=False) == without


def test_a_whole_answer_has_the_same_blocks() -> None:
    body = message_body(EVENTS, model="demo", context_tokens=100, is_thought_shown=True)
    assert body["content"] == [
        {"type": "thinking", "thinking": "I call it.", "signature": ""},
        {"type": "text", "text": "One moment."},
        {**TOOL_USE, "input": {"city": "Paris"}},
    ]
    assert (body["stop_reason"], body["usage"], body["type"], body["role"]) == (
        "tool_use",
        USAGE,
        "message",
        "assistant",
    )


@pytest.mark.parametrize(
    ("event", "context_tokens", "expected"),
    [
        (finish("stop"), 100, ("end_turn", None)),
        (finish("stop", "END"), 100, ("stop_sequence", "END")),
        (finish("length"), 100, ("max_tokens", None)),
        (finish("repetition"), 100, ("max_tokens", None)),
        (finish("length"), 21, ("model_context_window_exceeded", None)),
    ],
)
def test_the_end_is_told_in_anthropics_words(event: FinishEvent, context_tokens: int, expected: Any) -> None:
    assert tuple(stop_body(event, context_tokens=context_tokens).values()) == expected


def test_half_an_answer_is_no_answer() -> None:
    with pytest.raises(ApiError, match="was cancelled"):
        stop_body(finish("cancelled"), context_tokens=100)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ApiError("context_length", "x"), "invalid_request_error"),
        (ApiError("invalid_request", "x", status=413), "request_too_large"),
        (ApiError("overloaded", "x"), "overloaded_error"),
        (ApiError("internal", "x"), "api_error"),
    ],
)
def test_errors_have_anthropics_types(error: ApiError, kind: str) -> None:
    body = error_body(error)
    assert (body["type"], body["error"]) == ("error", {"type": kind, "message": error.message})


def test_a_call_that_was_cut_off_has_what_came_whole_of_its_input() -> None:
    body = message_body(CUT_EVENTS, model="demo", context_tokens=100, is_thought_shown=True)
    assert body["content"] == [{"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {"days": 3}}]
    assert body["stop_reason"] == "max_tokens"


def test_a_call_that_was_cut_off_streams_its_beginning() -> None:
    writer = EventWriter(model="demo", context_tokens=100, is_thought_shown=True)
    events = [body for event in CUT_EVENTS for _, body in writer.write(event)]
    deltas = [body["delta"] for body in events if body["type"] == "content_block_delta"]
    assert {delta["type"] for delta in deltas} == {"input_json_delta"}
    assert "".join(delta["partial_json"] for delta in deltas) == CUT_CALL.arguments
    assert [body["type"] for body in events[-3:]] == ["content_block_stop", "message_delta", "message_stop"]
    assert events[-2]["delta"]["stop_reason"] == "max_tokens"
