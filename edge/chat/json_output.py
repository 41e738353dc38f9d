"""The JSON of one answer: one object, or one a line as it comes. Field names are documented and stay.

In: events and the answer. Out: text that any encoding of stdout can hold.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from edge.answer import Answer
from edge.events import (
    Event,
    FinishEvent,
    MediaUse,
    NoteEvent,
    ProgressEvent,
    PromptEvent,
    ReasoningEvent,
    TextEvent,
    ToolCall,
    ToolCallEvent,
    Usage,
)

if TYPE_CHECKING:
    from edge.engine import Engine
    from edge.tools import ToolResult

Json = dict[str, Any]  # Any: the values differ in type


def write_json(value: Json, out: TextIO, *, indent: int | None = None) -> None:
    """Write one object and end the line; what the encoding lacks becomes an escape of JSON."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    try:
        text.encode(getattr(out, "encoding", None) or "utf-8")
    except (UnicodeError, LookupError):
        text = json.dumps(value, ensure_ascii=True, indent=indent)
    out.write(text + "\n")
    out.flush()


def answer_json(
    engine: Engine,
    answer: Answer,
    prompt: PromptEvent,
    *,
    shows_reasoning: bool,
    results: Sequence[ToolResult] = (),
) -> Json:
    """Put an answer, and what tools gave before it, into one object."""
    usage = answer.usage
    return {
        "model": engine.name,
        "answer": answer.text,
        "reasoning": answer.reasoning if shows_reasoning else None,
        "tool_calls": [_call_json(call) for call in answer.tool_calls],
        "tool_results": [result_json(result) for result in results],
        "finish_reason": answer.finish.reason,
        "stop": answer.finish.stop,
        "notes": [*prompt.hints, *answer.notes],
        "usage": _usage_json(usage),
        "media": [_media_json(use) for use in prompt.media],
        "timings": {
            "prompt_s": round(usage.prompt_s, 4),
            "vision_s": round(usage.vision_s, 4),
            "prefill_s": round(usage.prefill_s, 4),
            "prefill_tokens_per_s": round(usage.prefill_tokens_per_s, 2),
            "decode_s": round(usage.decode_s, 4),
            "decode_tokens_per_s": round(usage.decode_tokens_per_s, 2),
            "first_token_s": round(usage.first_token_s, 4),
            "peak_bytes": usage.peak_bytes,
        },
    }


def event_json(event: Event, *, shows_reasoning: bool) -> Json | None:
    """Put one event into an object; None for those that are not told."""
    match event:
        case PromptEvent():
            media = [_media_json(use) for use in event.media]
            counts = {"prompt_tokens": event.prompt_tokens, "cached_tokens": event.cached_tokens}
            return {"event": "prompt", **counts, "media": media, "notes": list(event.hints)}
        case ProgressEvent():
            return {"event": "progress", "stage": event.stage, "done": event.done, "total": event.total}
        case ReasoningEvent() if shows_reasoning:
            return {"event": "reasoning", "text": event.text}
        case TextEvent():
            return {"event": "text", "text": event.text}
        case ToolCallEvent():
            return {"event": "tool_call", **_call_json(event.call)}
        case NoteEvent():
            return {"event": "note", "text": event.text}
        case FinishEvent():
            usage = _usage_json(event.usage)
            return {"event": "finish", "finish_reason": event.reason, "stop": event.stop, "usage": usage}
    return None


def result_json(result: ToolResult) -> Json:
    """Put what a call gave into one object."""
    return {
        **_call_json(result.call),
        "content": result.text,
        "is_error": result.is_error,
        "seconds": round(result.seconds, 4),
    }


def _usage_json(usage: Usage) -> Json:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "cached_tokens": usage.cached_tokens,
        "completion_tokens": usage.completion_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
    }


def _call_json(call: ToolCall) -> Json:
    return {"id": call.id, "name": call.name, "arguments": call.arguments}


def _media_json(use: MediaUse) -> Json:
    (height, width), (seen_height, seen_width) = use.source_size, use.resized_size
    return {
        "kind": use.kind,
        "tokens": use.num_tokens,
        "source": {"width": width, "height": height},
        "seen": {"width": seen_width, "height": seen_height},
        "is_shrunk": use.is_shrunk,
        "summary": use.summary,
    }
