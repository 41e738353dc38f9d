from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from edge.events import Event, FinishEvent, FinishReason, TextEvent, ToolCall, ToolCallEvent, Usage
from edge.request import Request
from edge.tools.box import ToolBox
from edge.tools.rounds import ToolRun, run_with_tools
from edge.tools.tool import ToolResultEvent
from tests.unit.tools.boxes import box_of

USAGE = Usage(1, 0, 1, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0)


def add(a: int, b: int) -> int:
    """Add."""
    return a + b


class Model:
    """Calls `add` in its first rounds, then says what the last result was."""

    def __init__(self, num_rounds: int, *, reason: FinishReason = "tool_calls") -> None:
        self.requests: list[Request] = []
        self._num_rounds = num_rounds
        self._reason = reason

    @contextmanager
    def stream(self, request: Request) -> Iterator[Iterator[Event]]:
        self.requests.append(request)
        yield iter(self._events(request))

    def _events(self, request: Request) -> list[Event]:
        if len(self.requests) <= self._num_rounds and request.tool_choice != "none":
            calls = [ToolCall(i, f"c{len(self.requests)}{i}", "add", f'{{"a": {i}, "b": 1}}') for i in range(2)]
            return [*[ToolCallEvent(call) for call in calls], FinishEvent(self._reason, None, USAGE)]
        last = request.messages[-1].get("content")
        return [TextEvent(f"It is {last}."), FinishEvent("stop", None, USAGE)]


def start(model: Model, box: ToolBox, **values: Any) -> ToolRun:
    limits = {name: values.pop(name) for name in ("max_rounds", "max_seconds") if name in values}
    request = Request(messages=[{"role": "user", "content": "1 + 1?"}], **values)
    return ToolRun(model.stream, request, box, **limits)  # type: ignore[arg-type]  # a stream as far as it is used


def test_calls_are_carried_out_and_told_until_an_answer_comes() -> None:
    model = Model(2)
    run = start(model, box_of([add]))
    events = list(run)
    assert [event.result.text for event in events if isinstance(event, ToolResultEvent)] == ["1", "2"] * 2
    assert run.answer is not None
    assert run.answer.text == "It is 2."
    assert [message["role"] for message in run.messages] == ["assistant", "tool", "tool"] * 2 + ["assistant"]
    assert list(model.requests[2].messages) == [{"role": "user", "content": "1 + 1?"}, *run.messages[:-1]]


def test_in_the_last_round_no_call_is_allowed_so_that_an_answer_comes() -> None:
    model = Model(100)
    run = start(model, box_of([add]), max_rounds=3)
    list(run)
    assert [request.tool_choice for request in model.requests] == ["auto", "auto", "auto", "none"]
    assert run.answer is not None
    assert run.answer.text == "It is 2."


def test_after_the_time_no_further_round_of_calls_begins() -> None:
    model = Model(100)
    list(start(model, box_of([add]), max_seconds=0.0))
    assert [request.tool_choice for request in model.requests] == ["auto", "none"]


@pytest.mark.parametrize("choice", ["required", "add"])
def test_a_call_that_must_come_is_asked_for_once(choice: str) -> None:
    model = Model(2)
    list(start(model, box_of([add]), tool_choice=choice))
    assert [request.tool_choice for request in model.requests] == [choice, "auto", "auto"]


@pytest.mark.parametrize("reason", ["length", "cancelled", "repetition"])
def test_calls_of_an_answer_that_was_cut_are_not_carried_out(reason: FinishReason) -> None:
    run = start(Model(1, reason=reason), box_of([add]))
    assert not [event for event in run if isinstance(event, ToolResultEvent)]


def test_a_stop_between_calls_leaves_every_call_a_result() -> None:
    run = start(Model(5), box_of([add]))
    for event in run:
        if isinstance(event, ToolResultEvent):
            run.close()
    assert [message["role"] for message in run.messages] == ["assistant", "tool", "tool"]
    assert "stopped" in run.messages[-1]["content"]


def test_an_interrupt_while_a_tool_is_asked_about_leaves_every_call_a_result() -> None:
    def consent(*_: object) -> bool:
        raise KeyboardInterrupt

    run = start(Model(5), box_of([add], consent=consent))
    with pytest.raises(KeyboardInterrupt):
        list(run)
    assert [message["role"] for message in run.messages] == ["assistant", "tool", "tool"]


def test_an_app_gets_answer_messages_and_results_in_one_call() -> None:
    model = Model(1)
    found = run_with_tools(model, [{"role": "user", "content": "1 + 1?"}], box=box_of([add]), max_tokens=9)  # type: ignore[arg-type]  # only stream is used
    assert found.answer.text == "It is 2."
    assert (len(found.messages), len(found.results)) == (4, 2)
    assert model.requests[0].max_tokens == 9
