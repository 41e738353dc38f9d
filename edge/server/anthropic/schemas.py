"""Describe Anthropic's protocol for /openapi.json."""

from __future__ import annotations

from functools import partial
from typing import Any

from edge.server.describe import (
    FLAG,
    NULL,
    OBJECT,
    TEXT,
    WARNINGS,
    WHOLE,
    either,
    list_of,
    object_of,
    operation,
    sampling,
)

Json = Any
_TEXTS: Json = {"type": "array", "items": object_of({"type": {"const": "text"}, "text": TEXT})}
_FORMAT: Json = object_of({"type": {"const": "json_schema"}, "schema": OBJECT})
_STOP_REASONS = ["end_turn", "max_tokens", "stop_sequence", "tool_use", "model_context_window_exceeded"]

SCHEMAS: dict[str, Json] = {
    "AnthropicError": object_of(
        {"type": {"const": "error"}, "error": object_of({"type": TEXT, "message": TEXT}), "request_id": TEXT}
    ),
    "MessagesRequest": object_of(
        {
            "messages": {
                "type": "array",
                "minItems": 1,
                "items": object_of(
                    {"role": {"enum": ["user", "assistant", "system"]}, "content": either(TEXT, list_of(OBJECT))}
                ),
            }
        },
        model={"type": ["string", "null"], "description": "A name from /v1/models; without one, the default model."},
        max_tokens={"type": ["integer", "null"], "minimum": 1},
        system=either(TEXT, _TEXTS, NULL),
        stream=FLAG,
        stop_sequences={"type": ["array", "null"], "items": {"type": "string", "minLength": 1}, "maxItems": 16},
        **{name: sampling(name) for name in ("temperature", "top_k")},
        top_p=sampling("top_p", low=0),
        thinking={"type": ["object", "null"]},
        tools={"type": ["array", "null"], "items": OBJECT},
        tool_choice={"type": ["object", "null"]},
        output_config={
            "type": ["object", "null"],
            "properties": {
                "effort": {"enum": ["low", "medium", "high", "xhigh", "max", None]},
                "format": either(_FORMAT, NULL),
            },
        },
    ),
    "AnthropicMessage": object_of(
        {
            "id": TEXT,
            "type": {"const": "message"},
            "role": {"const": "assistant"},
            "model": TEXT,
            "content": list_of(object_of({"type": {"enum": ["thinking", "text", "tool_use"]}})),
            "stop_reason": {"enum": _STOP_REASONS},
            "stop_sequence": {"type": ["string", "null"]},
            "usage": object_of({"input_tokens": WHOLE, "output_tokens": WHOLE, "cache_read_input_tokens": WHOLE}),
        },
        warnings=WARNINGS,
    ),
    "AnthropicCount": object_of({"input_tokens": WHOLE}),
}

_describe = partial(operation, error="AnthropicError", body="MessagesRequest")
PATHS: dict[str, Json] = {
    "/v1/messages": {
        "post": _describe("Answer a conversation.", answer="AnthropicMessage", stream="text/event-stream")
    },
    "/v1/messages/count_tokens": {"post": _describe("Count a conversation's tokens.", answer="AnthropicCount")},
}
