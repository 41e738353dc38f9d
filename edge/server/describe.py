"""Words for describing a protocol in /openapi.json: objects, lists, operations."""

from __future__ import annotations

import math
from typing import Any

from edge.run.sample import SAMPLING_BOUNDS

Json = Any
TEXT: Json = {"type": "string"}
WHOLE: Json = {"type": "integer", "minimum": 0}
OBJECT: Json = {"type": "object"}
NULL: Json = {"type": "null"}
WARNINGS: Json = {
    "type": "array",
    "minItems": 1,
    "items": TEXT,
    "description": "What the reader should know: hints, pictures made smaller, how an answer was cut.",
}
FLAG: Json = {"type": ["boolean", "null"]}


def object_of(required: dict[str, Json], **optional: Json) -> dict[str, Json]:
    """Describe an object by its fields."""
    return {"type": "object", "properties": {**required, **optional}, "required": list(required)}


STREAMS: dict[str, Json] = {
    "text/event-stream": object_of({"data": TEXT}, event=TEXT),
    "application/x-ndjson": OBJECT,
}
"""What one event, or one line, of a stream is."""


def list_of(items: Json) -> dict[str, Json]:
    """Describe a list."""
    return {"type": "array", "items": items}


def either(*schemas: Json) -> dict[str, Json]:
    """Describe a value that may be of several kinds."""
    return {"anyOf": list(schemas)}


def sampling(name: str, *, low: float | None = None) -> dict[str, Json]:
    """Describe a sampling setting, or null, by the engine's own bounds.

    Args:
        name: The engine's name of it.
        low: The least number here, where it has a further meaning to a protocol; None takes the engine's.
    """
    bounds = SAMPLING_BOUNDS[name]
    described: dict[str, Json] = {"type": ["integer" if bounds.is_whole else "number", "null"]}
    is_open = bounds.is_low_open and low is None
    described["exclusiveMinimum" if is_open else "minimum"] = bounds.low if low is None else low
    return described if bounds.high == math.inf else {**described, "maximum": bounds.high}


def ref(name: str) -> dict[str, str]:
    """Name a component schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def operation(
    summary: str, *, error: str, answer: str | None = None, body: str | None = None, stream: str | None = None
) -> dict[str, Json]:
    """Describe what a path does.

    Args:
        summary: One sentence.
        error: Schema of refusals.
        answer: Schema of the answer; None if it is always a refusal.
        body: Schema of the request.
        stream: Media type of the answer as a stream.
    """
    content: dict[str, Json] = {"application/json": {"schema": ref(answer)}} if answer else {}
    if stream:
        content[stream] = {"schema": STREAMS[stream]}
    responses: dict[str, Json] = {"200": {"description": "Done.", "content": content}} if answer else {}
    responses["default"] = {"description": "Refused.", "content": {"application/json": {"schema": ref(error)}}}
    described: dict[str, Json] = {"summary": summary, "responses": responses}
    if body:
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": ref(body)}}}
    return described
