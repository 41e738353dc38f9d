"""Write values for people and read theirs: text on one line, numbers of tokens or of numpy, sizes in bytes."""

from __future__ import annotations

import re
from numbers import Integral, Real

MAX_CHARACTERS = 500
GAP = " ... "
_POWERS = ("", "k", "m", "g", "t")
_SIZE = re.compile(
    r"\s*(?P<number>(?:[0-9]{1,15}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})(?:e[0-9]{1,2})?)"
    r"\s*(?:(?P<power>[kmgt]?)(?P<binary>(?<=[kmgt])i)?b?)\s*",
    re.IGNORECASE,
)


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


def byte_count(text: str) -> int:
    """Read a size: 16.5GB, 900 MB, 14e6 or 4GiB, where GB is 1000**3 bytes and GiB 1024**3.

    Raises:
        ValueError: It is no size of a byte or more.
    """
    match = _SIZE.fullmatch(text)
    unit = 1024 if match and match["binary"] else 1000
    size = 0 if match is None else int(float(match["number"]) * unit ** _POWERS.index(match["power"].lower()))
    if size < 1:
        raise ValueError(f"expected a size such as 16.5GB, 900MB or 4GiB, found {one_line(text)!r}")
    return size
