"""Find what sounds like a file in a question and is shown to nobody: an answer would not tell that it was not seen.

In: the question that is left when its files were taken out. Out: a line for each such name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from edge.chat.asking.looking import NotMediaError, as_source, guess_kind, is_media_name
from edge.chat.asking.paths import PUNCTUATION, is_file
from edge.chat.border import shown
from edge.errors import MediaError

_WORD = re.compile(r"(?<!\S)(?:'([^'\n]+)'|\"([^\"\n]+)\"|((?:\\.|\S)+))", re.S)
_ESCAPED = re.compile(r"\\(.)", re.S)
_CODE = (".ts",)  # more often TypeScript than a video


def unshown_lines(question: str, *, reads_files: bool = False, exists: Callable[[str], bool] = is_file) -> list[str]:
    """Say which words of a question sound like files and are not shown to the model.

    Args:
        question: What is left to ask, without the names of files that are shown.
        reads_files: The model has tools and may read files by itself.
        exists: Tells whether a path is a file.

    Raises:
        MediaError: The question is nothing but the name of a file that is not there.
    """
    lines = []
    for match in _WORD.finditer(question):
        word = match[1] or match[2] or _ESCAPED.sub(r"\1", match[3].lstrip("@(['\"").rstrip(PUNCTUATION))
        ending = os.path.splitext(word)[1].lower()
        if is_media_name(word) and ending not in _CODE:
            if not exists(word):
                lines.append(_missing(word, is_all=match[0] == question.strip()))
        elif ending and not reads_files and exists(word) and (line := _other(word)):
            lines.append(line)
    return lines


def _missing(name: str, *, is_all: bool) -> str:
    try:
        as_source(name)  # says what to do about addresses
    except MediaError as error:
        return str(error)
    if is_all:
        raise MediaError(f"{shown(name)}: file not found. Check the path.")
    return f"{shown(name)}: there is no such file; the model gets these words and no picture."


def _other(name: str) -> str | None:
    """Say what can be done with a file that is no picture; None where that cannot be told."""
    try:
        guess_kind(as_source(name), name=name)
    except NotMediaError as error:
        return str(error)
    except MediaError:
        return None
    return None
