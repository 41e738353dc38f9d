"""Write chat completions: whole, and piece by piece.

In: answers and events. Out: JSON of `chat.completion`, and the pieces of a stream of `chat.completion.chunk`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from edge.answer import Answer, join_events
from edge.engine import Engine
from edge.events import (
    Event,
    FinishEvent,
    ReasoningEvent,
    TextEvent,
    TokenEvent,
    ToolCall,
    ToolCallDeltaEvent,
    Usage,
)
from edge.server.asking import Asking
from edge.server.ending import Warnings, ending_of
from edge.server.errors import ApiError
from edge.server.openai.errors import error_body
from edge.server.openai.logprobs import TextTokens, logprobs_body, text_tokens
from edge.server.streams import sse

Json = Any


class Heading:
    """What all pieces of one answer share."""

    def __init__(self, model: str, *, prefix: str = "chatcmpl") -> None:
        self.id = f"{prefix}-{uuid.uuid4().hex}"
        self.created = int(time.time())
        self.model = model

    def body(self, kind: str, choices: list[Json], **more: Json) -> dict[str, Json]:
        """Return the object of one kind."""
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "choices": choices,
            **more,
        }


def whole_body(
    engine: Engine, answers_events: Sequence[Sequence[Event]], *, model: str, has_logprobs: bool
) -> dict[str, Json]:
    """Return the body of a whole answer.

    Args:
        engine: Spells tokens for logprobs.
        answers_events: All events of each choice.
        model: The model's name.
        has_logprobs: Whether logprobs are sent.

    Raises:
        ApiError: An answer was cancelled.
    """
    heading = Heading(model)
    answers = [join_events(events) for events in answers_events]
    choices = [
        {
            "index": index,
            "message": message_body(answer),
            "logprobs": _logprobs_body(engine, text_tokens(engine, events)) if has_logprobs else None,
            "finish_reason": ending_of(answer.finish),
        }
        for index, (answer, events) in enumerate(zip(answers, answers_events, strict=True))
    ]
    usages = [answer.usage for answer in answers]
    warnings = Warnings(event for events in answers_events for event in events)
    more = {"timings": timings_body(usages[0]), **warnings.body}
    return heading.body("chat.completion", choices, usage=usage_body(usages), **more)


def message_body(answer: Answer) -> dict[str, Json]:
    """Return the assistant's message of an answer; the arguments of a call that was cut off are no whole JSON."""
    message: dict[str, Json] = {"role": "assistant", "content": answer.text, "refusal": None}
    if answer.reasoning:
        message["reasoning_content"] = answer.reasoning
    calls = [*answer.tool_calls, *([answer.cut_call] if answer.cut_call else [])]  # as a stream's pieces join to
    if calls:
        message["content"] = answer.text or None
        message["tool_calls"] = [_call_body(call) for call in calls]
    return message


async def stream_chat(asking: Asking, *, has_usage: bool, has_logprobs: bool) -> AsyncIterator[bytes]:
    """Write the stream of an answer; a failure on the way becomes an error object in it."""
    writer = ChunkWriter(
        asking.engine, Heading(asking.model.entry.name), num_choices=len(asking.runs), has_logprobs=has_logprobs
    )
    for chunk in writer.begin():
        yield sse(chunk)
    try:
        async for place, event in asking.events():
            if (line := writer.write(place, event)) is not None:
                yield sse(line)
    except ApiError as error:
        yield sse(error_body(error))
        return
    if has_usage:
        yield sse(writer.usage())
    yield sse("[DONE]")


class ChunkWriter:
    """Turns the events of all choices into chunks."""

    def __init__(self, engine: Engine, heading: Heading, *, num_choices: int, has_logprobs: bool) -> None:
        """Begin a stream; arguments as for `whole_body`."""
        self._heading = heading
        self._writers = [_ChoiceWriter(engine, index, has_logprobs=has_logprobs) for index in range(num_choices)]
        self._usages: dict[int, Usage] = {}
        self._warnings = Warnings()

    def begin(self) -> Iterator[Json]:
        """Write the first chunk of each choice."""
        for writer in self._writers:
            yield self._chunk([writer.choice({"role": "assistant", "content": ""})])

    def write(self, place: int, event: Event) -> Json | None:
        """Return an event's chunk, if it has one; the last choice's end carries what is said once.

        Raises:
            ApiError: The answer was cancelled.
        """
        self._warnings.add(event)
        choice = self._writers[place].write(event)
        more: dict[str, Json] = {}
        if isinstance(event, FinishEvent):
            self._usages[place] = event.usage
            if len(self._usages) == len(self._writers):
                more = {"timings": timings_body(event.usage), **self._warnings.body}
        return None if choice is None else self._chunk([choice], **more)

    def usage(self) -> Json:
        """Return the chunk that tells the counts."""
        return self._chunk([], usage=usage_body([self._usages[place] for place in sorted(self._usages)]))

    def _chunk(self, choices: list[Json], **more: Json) -> Json:
        return self._heading.body("chat.completion.chunk", choices, **more)


class _ChoiceWriter:
    """Turns the events of one choice into the choices of chunks."""

    def __init__(self, engine: Engine, index: int, *, has_logprobs: bool) -> None:
        self._engine = engine
        self._index = index
        self._tokens = TextTokens(engine) if has_logprobs else None

    def choice(self, delta: Json, finish_reason: str | None = None) -> dict[str, Json]:
        """Return a chunk's choice, with the logprobs of its text."""
        tokens = self._tokens.take() if self._tokens is not None else []
        logprobs = _logprobs_body(self._engine, tokens) if tokens else None
        return {"index": self._index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}

    def write(self, event: Event) -> dict[str, Json] | None:
        if self._tokens is not None:
            self._tokens.add(event)
        match event:
            case TextEvent():
                return self.choice({"content": event.text})
            case ReasoningEvent():
                return self.choice({"reasoning_content": event.text})
            case ToolCallDeltaEvent():
                return self.choice({"tool_calls": [_delta_body(event)]})
            case FinishEvent():
                return self.choice({}, ending_of(event))
            case _:
                pass
        return None


def usage_body(usages: Sequence[Usage]) -> dict[str, Json]:
    """Return the counts of a request; its prompt counts once, however many answers it has."""
    completion = sum(usage.completion_tokens for usage in usages)
    return {
        "prompt_tokens": usages[0].prompt_tokens,
        "completion_tokens": completion,
        "total_tokens": usages[0].prompt_tokens + completion,
        "prompt_tokens_details": {"cached_tokens": usages[0].cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": sum(usage.reasoning_tokens for usage in usages)},
    }


def timings_body(usage: Usage) -> dict[str, Json]:
    """Return counts and speeds as llama.cpp's server tells them, which several programs show, and the memory held."""
    guesses = {"draft_n": usage.guessed_tokens, "draft_n_accepted": usage.accepted_tokens}
    return {
        **(guesses if usage.guessed_tokens else {}),
        "cache_n": usage.cached_tokens,
        "prompt_n": usage.prompt_tokens - usage.cached_tokens,
        "prompt_ms": round(1000 * (usage.prefill_s + usage.vision_s), 3),
        "prompt_per_second": round(usage.prefill_tokens_per_s, 3),
        "predicted_n": usage.completion_tokens,
        "predicted_ms": round(1000 * usage.decode_s, 3),
        "predicted_per_second": round(usage.decode_tokens_per_s, 3),
        "memory_bytes": usage.peak_bytes,
    }


def _logprobs_body(engine: Engine, tokens: Sequence[TokenEvent]) -> dict[str, Json]:
    return {"content": logprobs_body(engine, tokens), "refusal": None}


def _call_body(call: ToolCall) -> dict[str, Json]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _delta_body(event: ToolCallDeltaEvent) -> dict[str, Json]:
    body: dict[str, Json] = {"index": event.index, "function": {"arguments": event.arguments}}
    if event.id:
        body |= {"id": event.id, "type": "function"}
    if event.name:
        body["function"] = {"name": event.name, "arguments": event.arguments}
    return body
