"""Break a stream of text into lines between words.

In: pieces cut anywhere. Out: the same text with line breaks at blanks where a line would pass the width. A word is held
back until its end is known; one longer than the width is left to the terminal, and flows from there on. Scripts without
blanks, such as Chinese, break after every character.
"""

from __future__ import annotations

from collections.abc import Callable

FIRST_WIDE = "\u2e80"
"""From here on characters are East Asian, or symbols that stand for words."""
MIN_LONG = 20
"""Shorter words are not measured before they end: no terminal is narrower."""


class WordWrap:
    """Wrap one text. `feed` gives what can be written, `finish` the rest."""

    def __init__(self, columns: Callable[[], int], *, measure: Callable[[str], int] = len) -> None:
        """Begin at the start of a line.

        Args:
            columns: The width, asked at every word.
            measure: Columns that a text takes.
        """
        self._columns = columns
        self._measure = measure
        self._used = 0
        self._blank = ""
        self._word = ""
        self._is_long = False

    def feed(self, text: str) -> str:
        """Take a piece."""
        out: list[str] = []
        for character in text:
            if character == "\n":
                out += [self._place(), "\n"]
                self._used, self._blank, self._is_long = 0, "", False
            elif character in " \t":
                if self._word:
                    out.append(self._place())
                if self._is_long:
                    self._is_long = False
                    self._used %= self._columns() + 1  # the terminal broke it
                self._blank += character
            else:
                out.append(self._take(character))
        return "".join(out)

    def _take(self, character: str) -> str:
        """Take a character of a word; give what need not wait for its end."""
        if self._is_long:
            self._used += self._measure(character)
            return character
        self._word += character
        if character >= FIRST_WIDE:
            return self._place()
        if len(self._word) > MIN_LONG and len(self._word) > self._columns():
            self._is_long = True
            return self._place()
        return ""

    def finish(self) -> str:
        """Give what was held back."""
        rest = self._place()
        self._blank = ""
        return rest

    def _place(self) -> str:
        """Put the word on this line or on the next."""
        if not self._word:
            return ""
        blank, word = self._blank.replace("\t", "    "), self._word
        self._blank = self._word = ""
        width = self._measure(word)
        if self._used and self._used + len(blank) + width > self._columns():
            self._used = width
            return "\n" + word
        self._used += len(blank) + width
        return blank + word


def cells(text: str) -> int:
    """Count the columns a text takes on a terminal: two for East Asian characters and most emoji."""
    if text.isascii():
        return len(text)
    from wcwidth import wcswidth  # prompt-toolkit's own measure

    width = wcswidth(text)
    return width if width >= 0 else len(text)
