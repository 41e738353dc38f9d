"""Show a thought apart from the answer: every line behind a bar, or folded to one line with its length, or not at all.

In: pieces of thought. Out: lines on a stream. The thought itself is kept, to be shown when it is asked for.
"""

from __future__ import annotations

import time

from edge.chat.options import ThoughtView
from edge.chat.screen.streams import CLEAR_LINE, DIM, Stream
from edge.chat.screen.wrap import WordWrap, cells

REDRAW_S = 0.1


class ThoughtWriter:
    """One thought on one stream."""

    def __init__(self, stream: Stream, view: ThoughtView, *, hint: str = "") -> None:
        """Begin a thought.

        Args:
            stream: Where it is written.
            view: How it is shown.
            hint: Behind a folded thought: how to see it.
        """
        self._stream = stream
        self._view = view
        self._hint = hint
        self._bar = ("│ " if stream.shows("│") else "| ") if stream.is_terminal else ""
        self._wrap = WordWrap(lambda: stream.columns - len(self._bar) - 1, measure=cells)
        self._words = 0
        self._in_word = False
        self._started = time.monotonic()
        self._last_draw = 0.0
        self._at_start = True
        self._has_text = False

    def feed(self, text: str) -> None:
        """Take a piece."""
        self._count(text)
        self._has_text = self._has_text or bool(text)
        if self._view == "show":
            self._show(self._wrap.feed(text) if self._stream.is_terminal else text)
        elif self._view == "fold" and self._stream.can_move and time.monotonic() - self._last_draw > REDRAW_S:
            self._last_draw = time.monotonic()
            line = f"thinking: {self._words} words"
            self._stream.write_raw(CLEAR_LINE + self._stream.styled(line, DIM))

    def finish(self) -> None:
        """End the thought: a blank line after a shown one, a line with its length for a folded one."""
        if not self._has_text:
            return
        if self._view == "show":
            if self._stream.is_terminal:
                self._show(self._wrap.finish())
            self._stream.write("\n" if self._at_start else "\n\n")
        elif self._view == "fold":
            words = "1 word" if self._words == 1 else f"{self._words} words"
            line = f"thought: {words}, {time.monotonic() - self._started:.1f} s{self._hint}"
            start = CLEAR_LINE if self._stream.can_move else ""
            self._stream.write_raw(start + self._stream.styled(line, DIM) + "\n")
            self._stream.ends_line = True

    def _show(self, text: str) -> None:
        """Write text with a bar at the start of every line."""
        if not self._stream.is_terminal:
            if text:
                self._stream.write(text)
                self._at_start = text.endswith("\n")
            return
        for line in text.splitlines(keepends=True):
            if self._at_start:
                self._stream.write_raw(self._stream.styled(self._bar, DIM))
            if self._stream.has_styles:
                self._stream.write_raw(DIM)
            self._stream.write(line)
            if self._stream.has_styles:
                self._stream.write_raw("\x1b[0m")
            self._at_start = line.endswith("\n")

    def _count(self, text: str) -> None:
        for character in text:
            is_word = not character.isspace()
            self._words += is_word and not self._in_word
            self._in_word = is_word
