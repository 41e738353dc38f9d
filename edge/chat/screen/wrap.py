"""Break a stream of text into lines between words.

In: pieces cut anywhere. Out: the same text with line breaks at blanks where a line would pass the width. A word is held
back until its end is known; a word longer than the width is left to the terminal.
"""

from __future__ import annotations

from collections.abc import Callable


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

    def feed(self, text: str) -> str:
        """Take a piece."""
        out: list[str] = []
        for character in text:
            if character == "\n":
                out += [self._place(), "\n"]
                self._used, self._blank = 0, ""
            elif character in " \t":
                if self._word:
                    out.append(self._place())
                self._blank += character
            else:
                self._word += character
        return "".join(out)

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
