"""Find the first of some strings in a text that comes in pieces: stop strings, and the tags around calls.

In: pieces of text. Out: the text that is certain to lie before the first such string, and which string it was.
Only an end that may still grow into one of them is held back.
"""

from __future__ import annotations

from collections.abc import Sequence


class TextSearch:
    """Pass text through until one of some strings appears; text that may begin one is held back."""

    def __init__(self, patterns: Sequence[str]) -> None:
        """Start a search; an empty pattern would be found before the first character and is not allowed."""
        assert all(patterns), "an empty stop string"
        self._patterns = tuple(patterns)
        self._held = ""
        self._passed_over: str | None = None

    def pass_over(self, pattern: str) -> None:
        """Treat the next text as not starting with this pattern; it counts again one character later."""
        self._passed_over = pattern

    def feed(self, text: str) -> tuple[str, str | None, str]:
        """Take more text.

        Of several patterns, the one that starts first counts, and of those the longest.

        Returns:
            The text that is certain to come before a pattern; the pattern that was found, or None; and what follows
            it. After a find the search is empty, and what follows must be fed again by whoever wants it searched.
        """
        if not self._patterns:
            return text, None, ""
        self._held += text
        hit = self._first_hit()
        undecided_at = len(self._held) - _overlap(self._held, self._patterns)
        # A longer or earlier pattern that is still growing must be decided first.
        if hit is not None and hit[0] < undecided_at:
            return self._cut(hit)
        return self._release(undecided_at), None, ""

    def finish(self) -> tuple[str, str | None, str]:
        """Return the held text, as `feed` does; a pattern inside it counts."""
        hit = self._first_hit()
        if hit is not None:
            return self._cut(hit)
        return self._release(len(self._held)), None, ""

    def _first_hit(self) -> tuple[int, int, str] | None:
        """Find the place, negative length and text of the pattern that counts."""
        hits = []
        for pattern in self._patterns:
            at = self._held.find(pattern, 1 if pattern == self._passed_over else 0)
            if at >= 0:
                hits.append((at, -len(pattern), pattern))
        return min(hits) if hits else None

    def _cut(self, hit: tuple[int, int, str]) -> tuple[str, str, str]:
        at, _, pattern = hit
        before, rest = self._held[:at], self._held[at + len(pattern) :]
        self._held, self._passed_over = "", None
        return before, pattern, rest

    def _release(self, length: int) -> str:
        """Give up the first characters of the held text."""
        passed, self._held = self._held[:length], self._held[length:]
        if passed:
            self._passed_over = None
        return passed


def _overlap(text: str, patterns: Sequence[str]) -> int:
    """Length of the longest end of `text` that could still grow into a pattern."""
    longest = 0
    for pattern in patterns:
        for length in range(min(len(pattern) - 1, len(text)), longest, -1):
            if text.endswith(pattern[:length]):
                longest = length
                break
    return longest
