"""Write responses: the object, and the events that build it.

In: events of a run. Out: `Builder.write` gives the protocol's events for each; `Builder.body` the object so far. A
whole answer is the object at the end of the same way, so that a stream and a whole answer cannot differ.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

from edge.answer import Answer, AnswerParts
from edge.events import (
    Event,
    FinishEvent,
    ReasoningEvent,
    TextEvent,
    ToolCallDeltaEvent,
    ToolCallEvent,
    Usage,
)
from edge.server.asking import Asking
from edge.server.ending import Warnings, ending_of
from edge.server.errors import ApiError
from edge.server.openai.logprobs import TextTokens, logprobs_body
from edge.server.streams import sse

Json = Any
PREFIXES = {"message": "msg", "reasoning": "rs", "function_call": "fc"}


class Builder:
    """One response as it grows."""

    def __init__(self, asking: Asking, *, echo: Mapping[str, Json], has_logprobs: bool) -> None:
        self.id = _new_id("resp")
        self.output: list[dict[str, Json]] = []
        self._asking = asking
        self._echo = echo
        self._created = int(time.time())
        self._status = "in_progress"
        self._reason: str | None = None
        self._error: Json = None
        self._usage: Json = None
        self._number = 0
        self._tokens = TextTokens(asking.engine) if has_logprobs else None
        self._parts = AnswerParts()
        self._warnings = Warnings()

    @property
    def answer(self) -> Answer:
        """The whole answer, once its last event was written."""
        return self._parts.answer()

    @property
    def body(self) -> dict[str, Json]:
        """The object so far."""
        return {
            "id": self.id,
            "object": "response",
            "created_at": self._created,
            "status": self._status,
            "model": self._asking.model.entry.name,
            "output": [dict(item) for item in self.output],
            "error": self._error,
            "incomplete_details": {"reason": self._reason} if self._reason else None,
            "usage": self._usage,
            **self._warnings.body,
            **self._echo,
        }

    def begin(self) -> Iterator[Json]:
        """Give the events before the answer."""
        yield self._event("response.created", response=self.body)
        yield self._event("response.in_progress", response=self.body)

    def write(self, event: Event) -> Iterator[Json]:
        """Give the protocol's events for one of the engine's."""
        self._parts.add(event)
        self._warnings.add(event)
        if self._tokens is not None:
            self._tokens.add(event)
        match event:
            case ReasoningEvent():
                yield from self._open("reasoning")
                self._part["text"] += event.text
                yield self._event("response.reasoning_summary_text.delta", **self._place("summary"), delta=event.text)
            case TextEvent():
                yield from self._open("message")
                self._part["text"] += event.text
                logprobs = self._take_logprobs()
                self._part["logprobs"] = [*self._part["logprobs"], *logprobs]  # events that were sent keep theirs
                yield self._event(
                    "response.output_text.delta", **self._place("content"), delta=event.text, logprobs=logprobs
                )
            case ToolCallDeltaEvent():
                yield from self._open_call(event)
                self.output[-1]["arguments"] += event.arguments
                if event.arguments:
                    place = self._place(None)
                    yield self._event("response.function_call_arguments.delta", **place, delta=event.arguments)
            case ToolCallEvent():
                yield from self._close("completed")
            case FinishEvent():
                is_cut = ending_of(event) == "length"
                yield from self._close("incomplete" if is_cut else "completed")
                self._status, self._reason = ("incomplete", "max_output_tokens") if is_cut else ("completed", None)
                self._usage = usage_body(event.usage)
                yield self._event(f"response.{self._status}", response=self.body)

    def fail(self, error: ApiError) -> Iterator[Json]:
        """Give the events of a failure."""
        yield from self._close("incomplete")
        self._status = "failed"
        self._error = {"code": error.code or "server_error", "message": error.message}
        yield self._event("response.failed", response=self.body)
        yield self._event("error", code=self._error["code"], message=error.message, param=error.param)

    @property
    def _is_open(self) -> bool:
        """Whether the last item still grows."""
        return bool(self.output) and self.output[-1]["status"] == "in_progress"

    @property
    def _part(self) -> dict[str, Json]:
        """The part of the open item that grows."""
        item = self.output[-1]
        part: dict[str, Json] = (item["content"] if item["type"] == "message" else item["summary"])[0]
        return part

    def _open(self, kind: str) -> Iterator[Json]:
        """Open an item with one part, unless such a one is open."""
        if self._is_open and self.output[-1]["type"] == kind:
            return
        yield from self._close_before()
        item: dict[str, Json] = {"id": _new_id(PREFIXES[kind]), "type": kind, "status": "in_progress"}
        if kind == "message":
            item |= {"role": "assistant", "content": []}
        else:
            item |= {"summary": []}
        yield from self._add(item)
        if kind == "message":
            part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
            item["content"].append(part)
            yield self._event("response.content_part.added", **self._place("content"), part=dict(part))
        else:
            part = {"type": "summary_text", "text": ""}
            item["summary"].append(part)
            yield self._event("response.reasoning_summary_part.added", **self._place("summary"), part=dict(part))

    def _open_call(self, event: ToolCallDeltaEvent) -> Iterator[Json]:
        if not event.id:  # only the first piece of a call has its id
            return
        yield from self._close_before()
        yield from self._add(
            {
                "id": _new_id(PREFIXES["function_call"]),
                "type": "function_call",
                "status": "in_progress",
                "call_id": event.id,
                "name": event.name,
                "arguments": "",
            }
        )

    def _add(self, item: dict[str, Json]) -> Iterator[Json]:
        self.output.append(item)
        copy = {key: list(value) if isinstance(value, list) else value for key, value in item.items()}
        yield self._event("response.output_item.added", output_index=len(self.output) - 1, item=copy)

    def _close_before(self) -> Iterator[Json]:
        """Close the open item before another one; a call that did not end by itself is a broken one."""
        is_call = self._is_open and self.output[-1]["type"] == "function_call"
        yield from self._close("incomplete" if is_call else "completed")

    def _close(self, status: str) -> Iterator[Json]:
        """Close the open item, if there is one."""
        if not self._is_open:
            return
        item = self.output[-1]
        if item["type"] == "message":
            part, place = self._part, self._place("content")
            yield self._event("response.output_text.done", **place, text=part["text"], logprobs=part["logprobs"])
            yield self._event("response.content_part.done", **place, part=dict(part))
        elif item["type"] == "reasoning":
            part, place = self._part, self._place("summary")
            yield self._event("response.reasoning_summary_text.done", **place, text=part["text"])
            yield self._event("response.reasoning_summary_part.done", **place, part=dict(part))
        else:
            arguments = {"name": item["name"], "arguments": item["arguments"]}
            yield self._event("response.function_call_arguments.done", **self._place(None), **arguments)
        item["status"] = status
        yield self._event("response.output_item.done", output_index=len(self.output) - 1, item=dict(item))

    def _place(self, part: str | None) -> dict[str, Json]:
        place = {"item_id": self.output[-1]["id"], "output_index": len(self.output) - 1}
        return place if part is None else {**place, f"{part}_index": 0}

    def _take_logprobs(self) -> list[Json]:
        return [] if self._tokens is None else logprobs_body(self._asking.engine, self._tokens.take())

    def _event(self, kind: str, **fields: Json) -> dict[str, Json]:
        event = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        return event


async def stream_response(asking: Asking, builder: Builder, *, keep: Callable[[], None]) -> AsyncIterator[bytes]:
    """Write a response as it grows; `keep` is called when it is whole."""
    for line in builder.begin():
        yield sse(line, event=line["type"])
    try:
        async for _, event in asking.events():
            lines = list(builder.write(event))
            if isinstance(event, FinishEvent):
                keep()  # first, so that the client's next request finds it
            for line in lines:
                yield sse(line, event=line["type"])
    except ApiError as error:
        for line in builder.fail(error):
            yield sse(line, event=line["type"])


def usage_body(usage: Usage) -> dict[str, Json]:
    """Return the counts of a response."""
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


def _new_id(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex}"
