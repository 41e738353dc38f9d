"""Go on with a question until it is answered: the model's calls are carried out and their results told to it.

In: a request and a `ToolBox`. Out: the events of every round, a `ToolResultEvent` after each call, and at the end the
messages to keep. In the last round that is allowed no call is, so that an answer comes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edge.answer import Answer, AnswerParts
from edge.events import Event, FinishEvent, ToolCall
from edge.records import dataclass
from edge.request import Request
from edge.tools.box import ToolBox
from edge.tools.tool import ToolResult, ToolResultEvent

if TYPE_CHECKING:
    from edge.engine import Engine
    from edge.results import EventStream

# Messages are JSON.
Json = Any

MAX_ROUNDS = 8
MAX_TOTAL_SECONDS = 600.0


class ToolRun(Iterator[Event | ToolResultEvent]):
    """One question and all its rounds, event by event.

    Attributes:
        messages: What came to the request's messages so far: answers with calls, results, the last answer.
        results: What the calls gave, in order.
        answer: The last answer that ended; None before.
    """

    def __init__(
        self,
        stream: Callable[[Request], EventStream],
        request: Request,
        box: ToolBox,
        *,
        max_rounds: int = MAX_ROUNDS,
        max_seconds: float = MAX_TOTAL_SECONDS,
    ) -> None:
        """Start; the first round is sent when the first event is taken.

        Args:
            stream: `Engine.stream`.
            request: The question; the box's declarations are added to its tools.
            box: Carries out the calls.
            max_rounds: Rounds of calls before an answer without calls is asked for.
            max_seconds: No further round of calls begins after this time.
        """
        assert max_rounds >= 0, "rounds are counted from 0"
        self.messages: list[dict[str, Json]] = []
        self.results: list[ToolResult] = []
        self.answer: Answer | None = None
        self._stream = stream
        self._request = request
        self._box = box
        self._max_rounds = max_rounds
        self._max_seconds = max_seconds
        self._events = self._run()

    def __next__(self) -> Event | ToolResultEvent:
        """Wait for the next event; raises what the engine raises."""
        return next(self._events)

    def close(self) -> None:
        """Cancel the round that runs."""
        self._request.cancel.set()
        self._events.close()

    def _run(self) -> Generator[Event | ToolResultEvent, None, None]:
        started, request = time.monotonic(), self._request
        tools = [*(request.tools or ()), *self._box.declarations]
        choice = request.tool_choice
        num_round = 0
        while True:
            is_last = num_round >= self._max_rounds or time.monotonic() - started > self._max_seconds
            asked = replace(
                request,
                messages=[*request.messages, *self.messages],
                tools=tools or None,
                tool_choice="none" if is_last and num_round and tools else choice,
            )
            parts = AnswerParts()
            with self._stream(asked) as events:
                for event in events:
                    parts.add(event)
                    if isinstance(event, FinishEvent):
                        self._end_round(parts.answer())
                    yield event
            answer = self.answer
            assert answer is not None, "a stream ends with its finish event"
            if answer.finish.reason != "tool_calls" or asked.tool_choice == "none":
                return
            yield from self._run_calls(answer.tool_calls)
            if request.cancel.is_set():
                return
            num_round += 1
            choice = "auto" if choice not in ("auto", "none") else choice  # a call that must come has come

    def _run_calls(self, calls: Sequence[ToolCall]) -> Generator[ToolResultEvent, None, None]:
        """Run calls in order; each has a result in the messages, however this ends."""
        left = list(calls)
        try:
            while left and not self._request.cancel.is_set():
                result = self._box.run(left[0])
                left.pop(0)
                self._keep(result)
                yield ToolResultEvent(result)
        finally:
            for call in left:
                self._keep(ToolResult(call, "Error: the user stopped before this call was carried out.", is_error=True))

    def _keep(self, result: ToolResult) -> None:
        self.results.append(result)
        self.messages.append(result.message())

    def _end_round(self, answer: Answer) -> None:
        self.answer = answer
        self.messages.append(answer.message())


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """An answer and how it came about.

    Attributes:
        answer: The last answer.
        messages: All messages after the question's: answers with calls, results, the last answer.
        results: What the calls gave.
    """

    answer: Answer
    messages: tuple[Mapping[str, Json], ...]
    results: tuple[ToolResult, ...]


def run_with_tools(
    engine: Engine,
    messages: Sequence[Mapping[str, Json]],
    *,
    box: ToolBox,
    max_rounds: int = MAX_ROUNDS,
    max_seconds: float = MAX_TOTAL_SECONDS,
    **settings: Json,
) -> ToolAnswer:
    """Ask a question and carry out the model's calls until it answers.

    Args:
        engine: The model.
        messages: The conversation, with the question.
        box: The tools.
        max_rounds: As for `ToolRun`.
        max_seconds: As for `ToolRun`.
        settings: Further fields of `Request`.

    Raises:
        EdgeError: As `Engine.stream`.
    """
    run = ToolRun(
        engine.stream, Request(messages=messages, **settings), box, max_rounds=max_rounds, max_seconds=max_seconds
    )
    for _ in run:
        pass
    assert run.answer is not None, "a run ends with an answer"
    return ToolAnswer(run.answer, tuple(run.messages), tuple(run.results))
