"""Split an answer into the model's thought and its answer, while it streams.

In: pieces of text. Out: (is_reasoning, text) pairs. Thinking models begin inside the thought (the template's
generation prompt ends with `<think>`), so their output holds only `</think>`; Instruct models begin in the answer
and their text is left as it is. A thought that is never closed was cut off: all of it is reasoning.
"""

from __future__ import annotations

OPEN = "<think>"
CLOSE = "</think>"


class ReasoningParser:
    """Tell thought from answer. Blank lines around `</think>` belong to neither; every cut gives the same text."""

    def __init__(self, *, starts_in_reasoning: bool) -> None:
        self._is_reasoning = starts_in_reasoning
        self._skips_newlines = starts_in_reasoning
        self._held = ""
        self._is_at_start = starts_in_reasoning

    @property
    def is_reasoning(self) -> bool:
        """Whether the next text still belongs to the thought."""
        return self._is_reasoning

    def feed(self, text: str) -> list[tuple[bool, str]]:
        """Take more text.

        Returns:
            Pieces (is_reasoning, text), none of them empty.
        """
        pieces: list[tuple[bool, str]] = []
        if self._is_reasoning:
            self._held += text
            if not self._drop_opening():
                return pieces
            thought, closing, text = self._held.partition(CLOSE)
            if not closing:
                keep = len(thought) - _undecided(thought)
                self._held = thought[keep:]
                return _piece(True, thought[:keep])
            pieces += _piece(True, thought.rstrip("\n"))
            self._is_reasoning, self._skips_newlines, self._held = False, True, ""
        return pieces + self._answer(text)

    def finish(self) -> list[tuple[bool, str]]:
        """Return what was held back; without `</think>` it is all reasoning."""
        held, self._held = self._held, ""
        return _piece(self._is_reasoning, held.rstrip("\n"))

    def _answer(self, text: str) -> list[tuple[bool, str]]:
        """Pass the answer on, without the blank lines that follow `</think>`."""
        if self._skips_newlines:
            text = text.lstrip("\n")
            self._skips_newlines = not text
        return _piece(False, text)

    def _drop_opening(self) -> bool:
        """Remove newlines and a repeated `<think>` at the very start; False while that is undecided."""
        if self._is_at_start:
            rest = self._held.lstrip("\n")
            if rest == "" or (len(rest) < len(OPEN) and OPEN.startswith(rest)):
                return False
            self._is_at_start = False
            self._held = rest.removeprefix(OPEN)
        if self._skips_newlines:
            self._held = self._held.lstrip("\n")
            self._skips_newlines = not self._held
        return True


def _piece(is_reasoning: bool, text: str) -> list[tuple[bool, str]]:
    return [(is_reasoning, text)] if text else []


def _undecided(thought: str) -> int:
    """Length of the end that may turn out to be blank lines before `</think>`, or a part of the tag."""
    body = thought
    for length in range(min(len(CLOSE) - 1, len(thought)), 0, -1):
        if thought.endswith(CLOSE[:length]):
            body = thought[:-length]
            break
    return len(thought) - len(body.rstrip("\n"))
