"""A text stream and what the thing behind it can show.

A stream never fails over a character: what its encoding lacks is written as an escape. A terminal gets no control
characters but those written by the screen itself.
"""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from typing import TextIO

DIM, BOLD, RESET = "\x1b[2m", "\x1b[1m", "\x1b[0m"
CLEAR_LINE = "\r\x1b[K"
# C0 without tab and newline, DEL, C1, and the marks that reorder text.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
MIN_COLUMNS = 20


class Stream:
    """One of stdout and stderr.

    Attributes:
        file: What is behind it.
        is_terminal: Somebody sits there.
        can_move: The cursor can be moved: a terminal that is not dumb.
        has_styles: Bold and dim may be used.
    """

    def __init__(self, file: TextIO) -> None:
        """Look at a stream; its encoding errors become escapes from now on."""
        reconfigure = getattr(file, "reconfigure", None)
        if callable(reconfigure):
            with suppress(ValueError, OSError):
                reconfigure(errors="backslashreplace")
        self.file = file
        self.is_terminal = file.isatty()
        self.can_move = self.is_terminal and os.environ.get("TERM", "") not in ("dumb", "unknown")
        self.has_styles = self.can_move and not os.environ.get("NO_COLOR")
        self.ends_line = True

    @property
    def columns(self) -> int:
        """Width now; it may change at any time."""
        return max(MIN_COLUMNS, self._size().columns)

    @property
    def rows(self) -> int:
        """Height now."""
        return max(5, self._size().lines)

    def shows(self, text: str) -> bool:
        """Whether the encoding has these characters."""
        try:
            text.encode(getattr(self.file, "encoding", None) or "utf-8")
        except (UnicodeError, LookupError):
            return False
        return True

    def write(self, text: str) -> None:
        """Write a model's or a user's text; a terminal gets it without control characters."""
        if self.is_terminal:
            text = clean(text)
        if text:
            self.ends_line = text.endswith("\n")
            self.write_raw(text)

    def write_raw(self, text: str) -> None:
        """Write the screen's own text, escapes included."""
        self.file.write(text)
        self.file.flush()

    def styled(self, text: str, style: str) -> str:
        """Put a style around text where the terminal can."""
        return f"{style}{text}{RESET}" if self.has_styles else text

    def _size(self) -> os.terminal_size:
        with suppress(OSError, ValueError, AttributeError):
            size = os.get_terminal_size(self.file.fileno())
            if size.columns:
                return size
        return shutil.get_terminal_size()


def clean(text: str) -> str:
    """Drop control characters, so that no text can move the cursor, change the title or hide its order."""
    return _CONTROL.sub("", text)
