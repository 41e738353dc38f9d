"""Keep what people write from becoming control tokens, however a template puts the pieces together.

In: the texts of a request. Out: the same texts with a mark inside everything that could become a control token, also
together with what stands before or after it. The mark is a character that the request does not contain, so taking
it out again gives exactly what was written, and nothing that people write can pass for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from edge.errors import PromptError

# Noncharacters first, which text should not contain; then a plane of private characters.
MARK_CODES = (*range(0xFDD0, 0xFDF0), *range(0xF0000, 0xF1000))
MAX_DEPTH = 200


class Shield:
    """The marks of one request, and the tokens they guard against."""

    def __init__(self, special_tokens: Iterable[str], *values: Any) -> None:  # Any: JSON, not checked yet
        """Choose marks that no value contains.

        Args:
            special_tokens: Control tokens.
            values: All that the template will be given, and its own text.

        Raises:
            PromptError: The values are nested too deeply, or contain every character that could be a mark.
        """
        free = _free_marks(values)
        try:
            self._mark, self._witness = next(free), next(free)
        except StopIteration:
            raise PromptError(
                f"The messages contain all of {len(MARK_CODES)} characters of no meaning (U+FDD0 and others). "
                "Remove some."
            ) from None
        self._tokens = sorted(token for token in special_tokens if token)
        self._heads = {token[:end] for token in self._tokens for end in range(1, len(token))}
        self._tails = {token[start:] for token in self._tokens for start in range(1, len(token))}
        self._longest = max(map(len, self._tokens), default=0)

    def guard(self, texts: Sequence[str], where: str) -> list[str]:
        """Mark the parts of one text, which a template may join.

        Args:
            texts: Parts that follow each other.
            where: Name for messages.

        Raises:
            PromptError: A part has a broken character, or a control token of one character, which cannot be guarded.
        """
        whole = "".join(texts)
        self._check(whole, where)
        places = sorted(self._places(whole))
        if not places:
            return list(texts)
        guarded, start, used = [], 0, 0
        for text in texts:
            end, pieces, last = start + len(text), [], start
            # A mark lies after a character, and goes with it; the one before all goes with the first part.
            while used < len(places) and places[used] <= end:
                pieces += [whole[last : places[used]], self._mark]
                last = places[used]
                used += 1
            guarded.append("".join((*pieces, whole[last:end])))
            start = end
        return guarded

    def add_witness(self, text: str, number: int) -> str:
        """Number a text, behind its first visible character: a template writes both or neither."""
        place = len(text) - len(text.lstrip()) + 1
        return text[:place] + self._witness * number + text[place:] if text.strip() else text

    def find_witnesses(self, text: str) -> set[int]:
        """Return the numbers of the texts that a template wrote."""
        return {len(run) for run in re.findall(f"{self._witness}+", text)}

    def remove(self, text: str) -> str:
        """Take marks and witnesses out of rendered text."""
        for mark in (self._mark, self._witness):
            text = text.replace(mark, "").replace(_escaped(mark), "")
        return text

    def _check(self, text: str, where: str) -> None:
        # Lone surrogates can come out of JSON escapes, and no tokenizer takes them.
        if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            raise PromptError(f"{where}: the text contains a broken character (a lone surrogate). Remove it.")
        for token in self._tokens:
            if len(token) == 1 and token in text:
                raise PromptError(f"{where}: the text contains the control token {token!r}. Remove it.")

    def _places(self, text: str) -> set[int]:
        """Find where marks go: inside tokens, and where one could begin before the text or end after it."""
        places: set[int] = set()
        for token in self._tokens:
            start = text.find(token)
            while start >= 0:
                places.add(start + 1)
                start = text.find(token, start + 1)
        for length in range(1, min(self._longest, len(text) + 1)):
            if text[-length:] in self._heads:
                places.add(len(text) - length + 1)
            if text[:length] in self._tails:
                places.add(0)
        return places


def _free_marks(values: Sequence[Any]) -> Iterator[str]:  # Any: as above
    candidates = {chr(code) for code in MARK_CODES}
    used: set[str] = set()
    escapes = False
    for text in _texts(values):
        escapes = escapes or "\\u" in text
        if not text.isascii():
            used |= candidates.intersection(text)
    written = " ".join(_texts(values)).lower() if escapes else ""
    for code in MARK_CODES:
        mark = chr(code)
        if mark not in used and _escaped(mark) not in written:
            yield mark


def _texts(values: Iterable[Any]) -> Iterator[str]:  # Any: as above
    """Walk through JSON of any shape; anything else, such as a picture, is passed by."""
    level: list[Any] = list(values)  # Any: as above
    for _ in range(MAX_DEPTH):
        yield from (value for value in level if isinstance(value, str))
        parts = ([*v.keys(), *v.values()] if isinstance(v, Mapping) else v for v in level if _is_nested(v))
        level = list(chain.from_iterable(parts))
        if not level:
            return
    raise PromptError(f"Messages or tools are nested over {MAX_DEPTH} levels deep. Make them flatter.")


def _is_nested(value: object) -> bool:
    return isinstance(value, Mapping | list | tuple)


def _escaped(mark: str) -> str:
    """Write a mark as JSON does without other characters, should a template ask for that."""
    code = ord(mark)
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
