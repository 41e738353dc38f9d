"""Write answers as Anthropic does: whole, and as the events of a stream.

In: events. Out: the JSON of a message, or pairs of an event's name and its JSON. Blocks come one after another:
thinking, text, and one for each tool call. Nothing is signed here, so signatures are empty.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from edge.answer import join_events
from edge.events import (
    Event,
    FinishEvent,
    PromptEvent,
    ReasoningEvent,
    TextEvent,
    ToolCall,
    ToolCallDeltaEvent,
    Usage,
)
from edge.server.anthropic.errors import error_body
from edge.server.asking import Asking
from edge.server.ending import Ending, Warnings, ending_of
from edge.server.errors import ApiError
from edge.server.streams import ServerSentEvents, sse
from edge.text.json_cut import whole_members

Json = Any
Named = tuple[str, dict[str, Json]]
STOP_REASONS: dict[Ending, str] = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens"}


class MessageEvents(ServerSentEvents):
    """A stream of events, whose signs of life are events too."""

    ping = sse({"type": "ping"}, event="ping")


def message_body(
    events: Sequence[Event], *, model: str, context_tokens: int, is_thought_shown: bool
) -> dict[str, Json]:
    """Return a whole answer.

    Args:
        events: All of its events.
        model: The model's name.
        context_tokens: What the context holds.
        is_thought_shown: Whether the thought's text is sent.

    Raises:
        ApiError: The answer was cancelled.
    """
    answer = join_events(events)
    content: list[Json] = []
    if answer.reasoning:
        thought = answer.reasoning if is_thought_shown else ""
        content.append({"type": "thinking", "thinking": thought, "signature": ""})
    if answer.text:
        content.append({"type": "text", "text": answer.text})
    content += [_call_body(call, json.loads(call.arguments)) for call in answer.tool_calls]
    if answer.cut_call:
        content.append(_call_body(answer.cut_call, whole_members(answer.cut_call.arguments)))
    return {
        **_heading(model),
        "content": content,
        **stop_body(answer.finish, context_tokens=context_tokens),
        "usage": usage_body(answer.usage),
        **Warnings(events).body,
    }


def stop_body(finish: FinishEvent, *, context_tokens: int) -> dict[str, Json]:
    """Return how an answer ended.

    Raises:
        ApiError: It was cancelled, which is no end that the protocol knows.
    """
    ending = ending_of(finish)
    reason = STOP_REASONS[ending]
    usage = finish.usage
    if finish.stop is not None:
        reason = "stop_sequence"
    elif ending == "length" and usage.prompt_tokens + usage.completion_tokens >= context_tokens:
        reason = "model_context_window_exceeded"
    return {"stop_reason": reason, "stop_sequence": finish.stop}


def usage_body(usage: Usage) -> dict[str, Json]:
    """Return the counts of an answer."""
    return _usage(usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens)


class EventWriter:
    """Turns the events of one answer into those of a stream."""

    def __init__(self, *, model: str, context_tokens: int, is_thought_shown: bool) -> None:
        """Begin an answer; arguments as for `message_body`."""
        self._model = model
        self._context_tokens = context_tokens
        self._is_thought_shown = is_thought_shown
        self._index = -1
        self._warnings = Warnings()
        self._kind: str | int | None = None  # of the open block: thinking, text, or a call's place

    def begin(self, prompt: PromptEvent | None) -> Iterator[Named]:
        """Write the first events; a prompt that still waits has no counts yet, the end tells them."""
        counts = _usage(prompt.prompt_tokens, prompt.cached_tokens, 0) if prompt else _usage(0, 0, 0)
        message = {**_heading(self._model), "content": [], "stop_reason": None, "stop_sequence": None, "usage": counts}
        yield "message_start", {"type": "message_start", "message": message}
        yield "ping", {"type": "ping"}

    def write(self, event: Event) -> Iterator[Named]:
        """Write what an event means.

        Raises:
            ApiError: The answer was cancelled.
        """
        self._warnings.add(event)
        match event:
            case ReasoningEvent():
                yield from self._enter("thinking", {"type": "thinking", "thinking": "", "signature": ""})
                if self._is_thought_shown:
                    yield self._delta({"type": "thinking_delta", "thinking": event.text})
            case TextEvent():
                yield from self._enter("text", {"type": "text", "text": ""})
                yield self._delta({"type": "text_delta", "text": event.text})
            case ToolCallDeltaEvent():
                block = {"type": "tool_use", "id": event.id, "name": event.name, "input": {}}
                yield from self._enter(event.index, block)
                if event.arguments:
                    yield self._delta({"type": "input_json_delta", "partial_json": event.arguments})
            case FinishEvent():
                stop = stop_body(event, context_tokens=self._context_tokens)
                yield from self._leave()
                usage = usage_body(event.usage)
                yield "message_delta", {"type": "message_delta", "delta": stop, "usage": usage, **self._warnings.body}
                yield "message_stop", {"type": "message_stop"}
            case _:
                pass

    def _enter(self, kind: str | int, block: Json) -> Iterator[Named]:
        """Open a block unless it is open."""
        if kind == self._kind:
            return
        yield from self._leave()
        self._index += 1
        self._kind = kind
        body = {"type": "content_block_start", "index": self._index, "content_block": block}
        yield "content_block_start", body

    def _leave(self) -> Iterator[Named]:
        if self._kind is None:
            return
        if self._kind == "thinking":
            yield self._delta({"type": "signature_delta", "signature": ""})
        self._kind = None
        yield "content_block_stop", {"type": "content_block_stop", "index": self._index}

    def _delta(self, delta: Json) -> Named:
        return "content_block_delta", {"type": "content_block_delta", "index": self._index, "delta": delta}


async def stream_message(asking: Asking, *, is_thought_shown: bool) -> AsyncIterator[bytes]:
    """Write an answer's events; a failure on the way becomes an event `error`."""
    writer = EventWriter(
        model=asking.model.entry.name,
        context_tokens=asking.engine.context_tokens,
        is_thought_shown=is_thought_shown,
    )
    for name, body in writer.begin(asking.runs[0].prompt):
        yield sse(body, event=name)
    try:
        async for _, event in asking.events():
            for name, body in writer.write(event):
                yield sse(body, event=name)
    except ApiError as error:
        yield sse(error_body(error), event="error")


def _call_body(call: ToolCall, given: Json) -> dict[str, Json]:
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": given}


def _heading(model: str) -> dict[str, Json]:
    return {"id": f"msg_{uuid.uuid4().hex[:24]}", "type": "message", "role": "assistant", "model": model}


def _usage(prompt_tokens: int, cached_tokens: int, output_tokens: int) -> dict[str, int]:
    """Return counts; `input_tokens` are those that no cache had."""
    return {
        "input_tokens": prompt_tokens - cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached_tokens,
        "output_tokens": output_tokens,
    }
