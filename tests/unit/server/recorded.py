"""Events of an answer as an engine sends them: a thought, text, and a call; what protocols write is held against it."""

from __future__ import annotations

from edge.events import (
    Event,
    FinishEvent,
    FinishReason,
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
