"""Read the question of one answer: from the command line, from a pipe, or both joined.

In: options and stdin. Out: the text, None for a talk; and the bytes of a picture or video that came through the pipe.
"""

from __future__ import annotations

import os
import stat
import sys

from edge.chat.asking.paths import find_files
from edge.chat.options import ChatOptions
from edge.errors import UsageError
from edge.records import dataclass

MAX_TEXT_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked.

    Attributes:
        text: The question; None for a talk.
        piped_media: Bytes for the picture or video named `-`.
        is_typed: Whether all of the text was typed, so that files named in it are meant.
        opening: The first line of a talk: files that were given without a question.
    """

    text: str | None
    piped_media: bytes | None = None
    is_typed: bool = True
    opening: str = ""


def read_question(options: ChatOptions) -> Asked:
    """Read the question.

    Raises:
        UsageError: There is none, or stdin is wanted twice, or is no text.
    """
    text = options.prompt
    num_media = sum(name == "-" for name in (*options.images, *options.videos, *options.pdfs))
    if num_media:
        media = _read_media(num_media, text)
        return Asked(_check(text), media)
    if text == "-" or (text is None and not _is_terminal()):
        return Asked(_check(_read_text()), is_typed=False)
    if text is None:
        if options.is_json or not sys.stdout.isatty():
            raise UsageError("A talk needs a terminal. Give a PROMPT on the command line or through a pipe.")
        return Asked(None)
    piped = _read_text().strip("\n") if _has_pipe() else ""
    if piped.strip():
        return Asked(_check(f"{text}\n\n{piped}"), is_typed=False)
    text = _check(text)
    if not options.is_json and _is_terminal() and sys.stdout.isatty() and not find_files(text).text:
        return Asked(None, opening=text)
    return Asked(text)


def _check(text: str | None) -> str:
    if text is None or not text.strip():
        raise UsageError("The prompt is empty. Give a PROMPT on the command line or through a pipe.")
    return text


def _read_media(num_media: int, text: str | None) -> bytes:
    if num_media > 1 or text == "-":
        raise UsageError("A pipe holds one thing: give - once, and the PROMPT on the command line.")
    if _is_terminal():
        raise UsageError("-: expected a picture or video through a pipe, found a terminal. Give a path.")
    if text is None:
        raise UsageError("The prompt is empty. With a picture through the pipe, give a PROMPT on the command line.")
    data = sys.stdin.buffer.read()
    if not data:
        raise UsageError("-: the pipe was empty. Check the command before it.")
    return data


def _is_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _has_pipe() -> bool:
    """Whether stdin is a pipe or a file, which somebody put there; not an inherited socket or /dev/null."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError, AttributeError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)


def _read_text() -> str:
    if sys.stdin is None:
        return ""
    try:
        data = sys.stdin.buffer.read(MAX_TEXT_BYTES + 1)
    except (OSError, ValueError):
        return ""  # stdin was closed
    if len(data) > MAX_TEXT_BYTES:
        raise UsageError(f"The piped text has over {MAX_TEXT_BYTES} bytes, more than any context holds. Shorten it.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"The pipe holds no UTF-8 text (byte {error.start}). For a picture add --image -, for a video --video -."
        ) from None
