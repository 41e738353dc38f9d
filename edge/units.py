"""Write values for people and read theirs: text on one line, numbers of tokens, numbers of other libraries."""

from __future__ import annotations

import re
from numbers import Integral, Real

MAX_CHARACTERS = 500
GAP = " ... "


def one_line(text: str, *, max_characters: int = MAX_CHARACTERS) -> str:
    """Make text safe to show in one line of a terminal, whoever wrote it.

    Args:
        text: Any text; control, format and broken characters are written as escapes, line breaks as spaces.
        max_characters: Longer text loses its middle: causes stand at the start, advice at the end.
    """
    # A text can be far longer than what will be shown of it.
    if len(text) > 2 * max_characters:
        text = text[:max_characters] + text[-max_characters:]
        is_cut = True
    else:
        is_cut = False
    if not text.isprintable():
        text = "".join(_shown(character) for character in text)
    if not is_cut and len(text) <= max_characters:
        return text
    head = max_characters * 3 // 5
    return text[:head] + GAP + text[len(text) - (max_characters - head - len(GAP)) :]


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else character.encode("unicode_escape").decode()


def plain_number(value: object) -> object:
    """Return a number of another library, numpy's above all, as Python's int or float; anything else as it is."""
    if isinstance(value, int | float):
        return value
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value


def token_count(text: str) -> int:
    """Read a number of tokens: 32768, 32k or 1m, where k is 1024 and m 1024 * 1024.

    Raises:
        ValueError: It is no such number.
    """
    match = re.fullmatch(r"\s*([0-9]{1,12})\s*([km]?)\s*", text, re.IGNORECASE)
    if match is None:
        raise ValueError(f"expected a number of tokens such as 32768, 32k or 1m, found {one_line(text)}")
    return int(match[1]) * {"": 1, "k": 1 << 10, "m": 1 << 20}[match[2].lower()]
