"""Find the end of a thought while it streams.

In: pieces of text from inside the thought. Out: the thought, without the tags and the blank lines beside them.
Thinking models begin inside the thought (the template's generation prompt ends with `<think>`), so their output
holds only `</think>`. A thought that is never closed was cut off: all of it is reasoning.
"""

from __future__ import annotations

from edge.text.stops import TextSearch

THINK_OPEN = "<think>"
THINK_CLOSE = "</think>"


class ThoughtReader:
    """Read one thought. Blank lines before `</think>` belong to nothing; every cut gives the same text."""

    def __init__(self) -> None:
        self._search = TextSearch([THINK_CLOSE])
        self._opening: str | None = ""  # the start of the thought while it may be a repeated tag; None afterwards
        self._skips_newlines = True
        self._newlines = ""

    def feed(self, text: str) -> tuple[str, str | None]:
        """Take more text.

        Returns:
            A piece of the thought, perhaps empty; and what follows `</think>`, or None while the thought is open.
        """
        thought, found, rest = self._search.feed(self._after_opening(text))
        if found is None:
            return self._without_last_newlines(thought), None
        return self._without_last_newlines(thought), rest

    def finish(self) -> str:
        """Return what was held back of a thought that was cut off."""
        opening, self._opening = self._opening or "", None
        thought = self._search.feed(opening)[0] + self._search.finish()[0]
        return self._without_last_newlines(thought)

    def _after_opening(self, text: str) -> str:
        """Drop newlines and a repeated `<think>` at the very start; nothing while that is undecided."""
        if self._opening is not None:
            text = (self._opening + text).lstrip("\n")
            if len(text) < len(THINK_OPEN) and THINK_OPEN.startswith(text):
                self._opening = text
                return ""
            self._opening = None
            text = text.removeprefix(THINK_OPEN)
        if self._skips_newlines:
            text = text.lstrip("\n")
            self._skips_newlines = not text
        return text

    def _without_last_newlines(self, thought: str) -> str:
        """Hold back newlines at the end: they may be the blank lines before `</think>`."""
        thought = self._newlines + thought
        body = thought.rstrip("\n")
        self._newlines = thought[len(body) :]
        return body
