"""Hold a JSON Schema to what can be enforced token by token, before a grammar is made of it.

In: a schema as a caller wrote it. Out: the same as plain JSON. A keyword that nobody would enforce is refused by its
place, so that a schema never promises more than the answer keeps; that a keyword's value fits is left to llguidance,
which refuses what it cannot enforce.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from edge.errors import RequestError

# A schema is JSON.
Json = Any

MAX_SCHEMA_CHARACTERS = 256_000
MAX_SCHEMA_DEPTH = 48  # levels of schemas within schemas; llguidance reads 128 levels of JSON
FINE_DIGITS = 9  # of a number between open bounds; llguidance takes no finer `multipleOf`
LARGE = 1e15  # from here on doubles lie about as close as whole numbers

_ONE_SCHEMA = frozenset({"items", "additionalProperties", "additionalItems"})
_NAMED_SCHEMAS = frozenset({"properties", "patternProperties", "$defs", "definitions"})
_LISTED_SCHEMAS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems", "items"})  # a list of items is an older form
_RULES = frozenset(
    [
        *("type", "enum", "const", "format", "pattern", "minLength", "maxLength", "$ref", "required"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("minItems", "maxItems", "minProperties", "maxProperties"),
    ]
)
# Words that describe and never restrict: JSON Schema's own, and those that OpenAPI and pydantic add.
_NOTES = frozenset(
    [
        *("title", "description", "default", "example", "examples", "deprecated", "readOnly", "writeOnly", "$comment"),
        *("$schema", "$id", "id", "$anchor", "$vocabulary", "contentEncoding", "contentMediaType", "contentSchema"),
        *("discriminator", "xml", "externalDocs"),
    ]
)
_KNOWN = _ONE_SCHEMA | _NAMED_SCHEMAS | _LISTED_SCHEMAS | _RULES | _NOTES
_HINTS = {"nullable": 'Write "null" into its type instead.', "x-guidance": "Options of the enforcer are not taken."}


def check_schema(schema: Json, *, field: str, of_what: str = "") -> Json:
    """Refuse a schema that is no JSON, too large, or asks for what cannot be enforced.

    Args:
        schema: A JSON Schema: a dict, or True and False.
        field: The setting it came from, for messages.
        of_what: More about the place, for messages: " of ..." or nothing.

    Returns:
        A copy as plain JSON, in which numbers have no open bounds: see `_close_bounds`.

    Raises:
        RequestError: Says what is wrong and where.
    """
    copy = _plain_json(schema, field, of_what)
    if isinstance(copy, dict) and isinstance(copy.get("json_schema", copy.get("schema")), dict):
        raise RequestError(
            f'{field}: expected a JSON Schema, found an envelope around one{of_what}. Give what lies under "schema".',
            field=field,
        )
    pending: list[tuple[str, Json, int]] = [("", copy, 1)]
    while pending:
        where, current, depth = pending.pop()
        place = f"{where[:80] or 'the top'}{of_what}"
        if isinstance(current, bool):
            continue
        if not isinstance(current, dict):
            raise RequestError(
                f"{field}: expected a schema (an object) at {place}, found {type(current).__name__}. Change it.",
                field=field,
            )
        if depth > MAX_SCHEMA_DEPTH:
            raise RequestError(
                f"{field}: expected at most {MAX_SCHEMA_DEPTH} levels, found more at {place}. Make it flatter.",
                field=field,
            )
        _check_keywords(current, place=place, field=field)
        _close_bounds(current)
        pending += [(f"{where}/{name}", child, depth + 1) for name, child in _children(current)]
    return copy


def _plain_json(schema: Json, field: str, of_what: str) -> Json:
    try:
        text = json.dumps(schema, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise RequestError(
            f"{field}: expected a JSON Schema as plain JSON, found one{of_what} that cannot be written as JSON "
            f"({' '.join(str(error).split())[:120]}). Change it.",
            field=field,
        ) from None
    if len(text) > MAX_SCHEMA_CHARACTERS:
        raise RequestError(
            f"{field}: expected at most {MAX_SCHEMA_CHARACTERS} characters of JSON, found {len(text)}. Shorten it.",
            field=field,
        )
    return json.loads(text)


def _check_keywords(schema: dict[str, Json], *, place: str, field: str) -> None:
    for keyword in schema:
        is_private_note = keyword.startswith("x-") and keyword not in _HINTS
        if keyword not in _KNOWN and not is_private_note:
            hint = _HINTS.get(keyword, "Remove it, or start its name with x- if it is only a note.")
            raise RequestError(
                f"{field}: expected keywords that can be enforced, found {keyword[:80]!r} at {place}. {hint}",
                field=field,
            )
    for keyword in ("exclusiveMinimum", "exclusiveMaximum"):
        if isinstance(schema.get(keyword), bool):
            raise RequestError(
                f"{field}: expected a number as {keyword} at {place}, found {schema[keyword]} (an old form). "
                "Write the limit itself.",
                field=field,
            )


def _close_bounds(schema: dict[str, Json]) -> None:
    """Keep numbers that need not be whole from an open bound: a text of 13.99999999999999999 is 14 to every reader.

    The bound nearer to zero becomes a closed one, a little further in, since llguidance lets zero itself pass there;
    towards the other one digits are limited.
    """
    if schema.get("type") == "integer":
        return
    for word, closed, inwards in (("exclusiveMinimum", "minimum", 1), ("exclusiveMaximum", "maximum", -1)):
        bound = schema.get(word)
        if not isinstance(bound, int | float):
            continue
        step = min(1.0, 10.0 ** (math.ceil(math.log10(max(1.0, abs(bound)))) - FINE_DIGITS))
        if bound * inwards < 0:
            schema.setdefault("multipleOf", step)
        elif abs(bound) < LARGE:
            del schema[word]
            nearest = bound + inwards * step
            other = schema.get(closed, nearest)
            is_nearer = isinstance(other, int | float) and other * inwards > nearest * inwards
            schema[closed] = other if is_nearer else nearest


def _children(schema: dict[str, Json]) -> Iterator[tuple[str, Json]]:
    """Yield (place, schema) of each schema right inside this one."""
    for keyword, value in schema.items():
        if keyword in _NAMED_SCHEMAS and isinstance(value, dict):
            yield from ((f"{keyword}/{name}", child) for name, child in value.items())
        elif keyword in _LISTED_SCHEMAS and isinstance(value, list):
            yield from ((f"{keyword}/{i}", child) for i, child in enumerate(value))
        elif keyword in _ONE_SCHEMA:
            yield keyword, value
