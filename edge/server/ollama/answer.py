"""Write answers as Ollama does: lines of JSON, of which the last says how it ended and how long it took.

In: events. Out: the objects of lines. A whole answer is the last line with all pieces in it.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import field
from datetime import UTC, datetime
from typing import Any, Literal

from edge.answer import join_events
from edge.engine import Engine
from edge.events import Event, FinishEvent, ReasoningEvent, TextEvent, ToolCall, ToolCallEvent
from edge.records import dataclass
from edge.server.asking import Asking
from edge.server.ending import Warnings, ending_of
from edge.server.errors import ApiError
from edge.server.ollama.durations import nanoseconds, timestamp
from edge.server.ollama.errors import error_body
from edge.server.openai.logprobs import TextTokens, logprobs_body, text_tokens
from edge.server.streams import json_line

Json = Any
Kind = Literal["chat", "generate"]


@dataclass(frozen=True, slots=True)
class Heading:
    """What all lines of one answer share.

    Attributes:
        kind: The endpoint, which decides where text stands.
        model: The name that the client used.
        load_s: Seconds that loading the model took for this request.
        started: When it came, on `time.perf_counter`'s clock.
        now: Gives the time.
    """

    kind: Kind
    model: str
    load_s: float = 0.0
    started: float = field(default_factory=time.perf_counter)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def line(
        self, *, text: str = "", thinking: str = "", calls: Sequence[ToolCall] = (), **more: Json
    ) -> dict[str, Json]:
        """Return the object of a line on the way."""
        body: dict[str, Json] = {"model": self.model, "created_at": timestamp(self.now())}
        if self.kind == "generate":
            body["response"] = text
            if thinking:
                body["thinking"] = thinking
        else:
            message: dict[str, Json] = {"role": "assistant", "content": text}
            if thinking:
                message["thinking"] = thinking
            if calls:
                message["tool_calls"] = [call_body(call) for call in calls]
            body["message"] = message
        return {**body, "done": False, **more}

    def last(self, finish: FinishEvent, **pieces: Any) -> dict[str, Json]:  # Any: as for `line`
        """Return the object of the last line.

        Raises:
            ApiError: The answer was cancelled.
        """
        usage = finish.usage
        return {
            **self.line(**pieces),
            "done": True,
            "done_reason": "length" if ending_of(finish) == "length" else "stop",
            "total_duration": nanoseconds(time.perf_counter() - self.started),
            "load_duration": nanoseconds(self.load_s),
            "prompt_eval_count": usage.prompt_tokens,
            "prompt_eval_duration": nanoseconds(usage.vision_s + usage.prefill_s),
            "eval_count": usage.completion_tokens,
            "eval_duration": nanoseconds(usage.decode_s),
        }

    def done(self, reason: Literal["load", "unload"]) -> dict[str, Json]:
        """Return the only line of a request that loads or unloads."""
        return {**self.line(), "done": True, "done_reason": reason}


def call_body(call: ToolCall) -> dict[str, Json]:
    """Return a call; its arguments are an object."""
    function = {"index": call.index, "name": call.name, "arguments": json.loads(call.arguments)}
    return {"id": call.id, "function": function}


class LineWriter:
    """Turns the events of one answer into lines."""

    def __init__(self, heading: Heading, *, engine: Engine | None = None) -> None:
        """Begin an answer.

        Args:
            heading: What its lines share.
            engine: Spells tokens for logprobs; None sends none.
        """
        self._heading = heading
        self._engine = engine
        self._tokens = TextTokens(engine) if engine is not None else None
        self._warnings = Warnings()

    def write(self, event: Event) -> dict[str, Json] | None:
        """Return an event's line, if it has one.

        Raises:
            ApiError: The answer was cancelled.
        """
        self._warnings.add(event)
        if self._tokens is not None:
            self._tokens.add(event)
        match event:
            case TextEvent():
                return self._heading.line(text=event.text, **self._logprobs())
            case ReasoningEvent():
                return self._heading.line(thinking=event.text)
            case ToolCallEvent():
                return self._heading.line(calls=(event.call,))
            case FinishEvent():
                return self._heading.last(event, **self._warnings.body)
            case _:
                pass
        return None

    def _logprobs(self) -> dict[str, Json]:
        """Return the logprobs of a line's text."""
        tokens = self._tokens.take() if self._tokens is not None else []
        return {"logprobs": logprobs_body(self._engine, tokens)} if self._engine is not None and tokens else {}


async def whole_answer(asking: Asking, heading: Heading, *, has_logprobs: bool) -> dict[str, Json]:
    """Wait for an answer and return it in one object.

    Raises:
        ApiError: It failed.
        ClientGone: Nobody waits for it.
    """
    (events,) = await asking.all_events()
    answer = join_events(events)
    more: dict[str, Json] = dict(Warnings(events).body)
    if has_logprobs:
        more["logprobs"] = logprobs_body(asking.engine, text_tokens(asking.engine, events))
    pieces = {"text": answer.text, "thinking": answer.reasoning, "calls": answer.tool_calls}
    return heading.last(answer.finish, **pieces, **more)


async def stream_answer(asking: Asking, heading: Heading, *, has_logprobs: bool) -> AsyncIterator[bytes]:
    """Write an answer's lines; a failure on the way becomes a line with `error`."""
    writer = LineWriter(heading, engine=asking.engine if has_logprobs else None)
    try:
        async for _, event in asking.events():
            line = writer.write(event)
            if line is not None:
                yield json_line(line)
    except ApiError as error:
        yield json_line(error_body(error))
