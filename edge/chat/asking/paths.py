"""Find files in what was typed: dropped onto the terminal, quoted, escaped, with `@` or `~`, several, anywhere.

In: a line. Out: the question without them, and the files, file URLs and data URLs in order. A word counts as a file
only if it exists and looks like one (a slash, a tilde, `@`, or the ending of a picture, video or document), so that
ordinary words never attach anything. A file in the middle of a sentence leaves its name there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from edge.chat.asking.looking import is_media_name
from edge.records import dataclass

MAX_WORDS = 12
PUNCTUATION = ".,;:!?)]}'\""
_ESCAPED = re.compile(r"\\(.)", re.S)
_DATA_URL = re.compile(r"data:[\w./+-]*(;[\w=.+-]+)*,", re.I)


@dataclass(frozen=True, slots=True)
class FoundFiles:
    """A question and the files that were named in it.

    Attributes:
        text: What is left to ask; empty if only files were given.
        sources: The files as typed, without quotes and escapes.
    """

    text: str
    sources: tuple[str, ...]

    @property
    def unnamed(self) -> str:
        """The text without the names that files in the middle of it left there."""
        text = self.text
        for source in self.sources:
            text = text.replace(_name(source), " ")
        return text


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    source: str | None = None


def find_files(line: str, *, exists: Callable[[str], bool] | None = None) -> FoundFiles:
    """Take the files out of a line.

    Args:
        line: What was typed.
        exists: Tells whether a path is a file; the disk does if None.
    """
    exists = exists or is_file
    whole = line.strip()
    if "/" in whole and "\n" not in whole and exists(whole):
        return FoundFiles("", (whole,))
    pieces = _cut(line, exists)
    sources = tuple(piece.source for piece in pieces if piece.source is not None)
    if not sources:
        return FoundFiles(line, ())
    return FoundFiles(_join(pieces), sources)


def is_file(path: str) -> bool:
    """Whether a path, perhaps with a tilde, is a file; never an error, whatever the text."""
    try:
        return bool(path) and os.path.isfile(os.path.expanduser(path))
    except (OSError, ValueError):
        return False


def _cut(line: str, exists: Callable[[str], bool]) -> list[_Piece]:
    pieces: list[_Piece] = []
    place = 0
    while place < len(line):
        if line[place].isspace():
            pieces.append(_Piece(line[place]))
            place += 1
            continue
        found = _source_at(line, place, exists)
        if found is None:
            end = _word_end(line, place)
            pieces.append(_Piece(line[place:end]))
        else:
            source, end = found
            pieces.append(_Piece(_name(source), source))
        place = end
    return pieces


def _source_at(line: str, place: int, exists: Callable[[str], bool]) -> tuple[str, int] | None:
    """Read a source that begins here; its text and where it ends."""
    start = place + (line[place] == "@")
    is_marked = start > place
    if start >= len(line):
        return None
    if line[start] in "'\"":
        close = line.find(line[start], start + 1)
        inner = line[start + 1 : close] if close > start else ""
        return (inner, close + 1) if _counts(inner, exists, is_marked=is_marked) else None
    end = _word_end(line, start)
    word = line[start:end]
    if _DATA_URL.match(word) or word[:8].lower() == "file:///":
        return word.rstrip(PUNCTUATION) if word[:5].lower() == "file:" else word, end
    for cut in range(len(word), max(0, len(word) - 4), -1):
        if cut < len(word) and word[cut] not in PUNCTUATION:
            break
        plain = _ESCAPED.sub(r"\1", word[:cut])
        if _counts(plain, exists, is_marked=is_marked):
            return plain, start + cut
    return _with_blanks(line, start, exists) if word[0] in "/~." else None


def _with_blanks(line: str, start: int, exists: Callable[[str], bool]) -> tuple[str, int] | None:
    """Read a path whose blanks are not escaped, as some terminals drop it: the longest that exists."""
    best = None
    end = start
    for _ in range(MAX_WORDS):
        end = _word_end(line, end)
        if exists(line[start:end]):
            best = (line[start:end], end)
        while end < len(line) and line[end] == " ":
            end += 1
        if end >= len(line) or line[end] == "\n":
            break
    return best


def _counts(text: str, exists: Callable[[str], bool], *, is_marked: bool) -> bool:
    if text[:8].lower() == "file:///" or _DATA_URL.match(text):
        return True
    looks_so = is_marked or "/" in text or text.startswith("~") or is_media_name(text)
    return looks_so and exists(text)


def _word_end(line: str, place: int) -> int:
    while place < len(line) and not line[place].isspace():
        place += 2 if line[place] == "\\" and place + 1 < len(line) and line[place + 1] != "\n" else 1
    return min(place, len(line))


def _name(source: str) -> str:
    if source[:5].lower() == "data:":
        return "the picture"
    path = unquote(urlsplit(source).path) if source[:5].lower() == "file:" else source
    return Path(path).name


def _join(pieces: list[_Piece]) -> str:
    """Put the question together: files at its edges are gone, those within leave their names."""
    is_text = [piece.source is None and not piece.text.isspace() for piece in pieces]
    if not any(is_text):
        return ""
    first = is_text.index(True)
    last = len(is_text) - 1 - is_text[::-1].index(True)
    only_marks = all(piece.text.strip(PUNCTUATION) == "" for piece in pieces[first : last + 1] if piece.source is None)
    kept = pieces[first : last + 1]
    if first and pieces[first - 1].source is not None:
        kept = [pieces[first - 1], *kept]  # glued to what follows: `cat.png?`
    text = "".join(piece.text for piece in kept).strip()
    return "" if only_marks and not any(piece.text.isalnum() for piece in kept if piece.source is None) else text
