"""Find the JSON objects in a text that is not all JSON: fences, prose around, a cut-off end, Python's quotes.

In: the text of an answer, finished or cut off. Out: every complete object, outer before inner, in order.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

# What stands in the text is unknown until it is looked at.
Json = Any

_DECODER = json.JSONDecoder(strict=False)
_FLAT_OBJECT = re.compile(r"\{[^{}\\]*\}")
MAX_FLAT_CHARACTERS = 10_000


def find_objects(text: str) -> Iterator[dict[str, Json]]:
    """Yield the complete JSON objects of a text, those inside others and inside lists too.

    An object that was cut off is left out, the complete ones inside it are not. An object without inner objects may
    also be written as Python writes it: single quotes, a comma before the end.
    """
    # Lists are no starting points: what they hold is found anyway, and a cut-off list would be read in vain.
    at = text.find("{")
    while at >= 0:
        found, end = _read_at(text, at)
        yield from _walk(found)
        at = text.find("{", end)


def _read_at(text: str, start: int) -> tuple[Json, int]:
    """Read a value that starts here; return it, or None, and where to go on."""
    try:
        value, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        value, end = None, start + 1
    if value is None and (flat := _FLAT_OBJECT.match(text, start, start + MAX_FLAT_CHARACTERS)) is not None:
        value, end = _read_python(flat.group()), flat.end()
    return value, end


def _read_python(text: str) -> Json:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _walk(value: Json) -> Iterator[dict[str, Json]]:
    left = [value]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            yield value
            left += reversed(value.values())
        elif isinstance(value, list | tuple):
            left += reversed(value)
