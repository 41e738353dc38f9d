"""Events of an answer as an engine sends them: a thought, text, and a call; what protocols write is held against it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any

from edge.events import (
    CutCallEvent,
    Event,
    FinishEvent,
    FinishReason,
    NoteEvent,
    PromptEvent,
    ReasoningEvent,
    TextEvent,
    ToolCall,
    ToolCallDeltaEvent,
    ToolCallEvent,
    Usage,
)

PROMPT = PromptEvent(prompt_tokens=12, cached_tokens=5, media=(), hints=())
USAGE = Usage(
    prompt_tokens=12,
    cached_tokens=5,
    completion_tokens=9,
    reasoning_tokens=3,
    vision_runs=0,
    prompt_s=0.001,
    queue_s=0.0,
    vision_s=0.25,
    prefill_s=0.5,
    first_token_s=0.8,
    decode_s=1.5,
    peak_bytes=1,
)


def finish(reason: FinishReason = "tool_calls", stop: str | None = None) -> FinishEvent:
    return FinishEvent(reason, stop, USAGE)


CALL = ToolCall(0, "call_1", "get_weather", '{"city": "Paris"}')
EVENTS: list[Event] = [
    PROMPT,
    ReasoningEvent("I call"),
    ReasoningEvent(" it."),
    TextEvent("One moment"),
    TextEvent("."),
    ToolCallDeltaEvent(0, "call_1", "get_weather", ""),
    ToolCallDeltaEvent(0, "", "", '{"city": '),
    ToolCallDeltaEvent(0, "", "", '"Paris"}'),
    ToolCallEvent(CALL),
    finish(),
]
CUT_CALL = ToolCall(0, "call_1", "get_weather", '{"days": 3, "city": "Pa')
CUT_EVENTS: list[Event] = [
    PROMPT,
    ToolCallDeltaEvent(0, "call_1", "get_weather", ""),
    ToolCallDeltaEvent(0, "", "", '{"days": 3, '),
    ToolCallDeltaEvent(0, "", "", '"city": "Pa'),
    CutCallEvent(CUT_CALL),
    NoteEvent("Tool call 0 is void."),
    finish("length"),
]
"""A call that ran into the limit."""


class RecordedAsking:
    """Stands where an `Asking` does, and gives the events above, for each of some choices."""

    engine = None  # spells tokens for logprobs; none are recorded
    model = SimpleNamespace(entry=SimpleNamespace(name="demo"))

    def __init__(self, events: Sequence[Event] = EVENTS, *, num_choices: int = 1) -> None:
        self.runs = [None] * num_choices
        self._events = events

    async def events(self) -> AsyncIterator[tuple[int, Event]]:
        for event in self._events:
            for place in range(len(self.runs)):
                yield place, event


def sent(pieces: AsyncIterator[bytes]) -> list[Any]:  # Any: JSON, or the text of data that is none
    """Collect the data of a stream's events; made-up ids are named by their order, times become 0."""

    async def collect() -> bytes:
        return b"".join([piece async for piece in pieces])

    text = asyncio.run(collect()).decode()
    names: dict[str, str] = {}

    def rename(found: re.Match[str]) -> str:
        return names.setdefault(found[0], f"{found[1]}{len(names)}")

    text = re.sub(r"\b(chatcmpl-|cmpl-|resp_|msg_|rs_|fc_)[0-9a-f]{32}\b", rename, text)
    text = re.sub(r'("created(?:_at)?":)\d+', r"\g<1>0", text)
    lines = [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: ")]
    return [json.loads(line) if line.startswith("{") else line for line in lines]
