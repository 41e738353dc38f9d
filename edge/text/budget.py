"""Close a thought that has used up its tokens or runs in a circle, so that an answer still comes.

In: how far the thought has come. Out: the token that must come next, if one must.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class ThoughtProgress(Protocol):
    """How far a thought has come; `edge.text.answer.AnswerReader` fits."""

    @property
    def is_reasoning(self) -> bool:
        """Whether the thought is still open."""
        ...

    @property
    def reasoning_tokens(self) -> int:
        """Tokens of the thought so far."""
        ...


class ThinkingBudget:
    """The tokens one thought may have, and the tokens that close it."""

    def __init__(self, budget_tokens: int | None, *, closing_token_ids: Sequence[int]) -> None:
        """Set a budget; None never closes.

        Args:
            budget_tokens: Tokens the thought may have.
            closing_token_ids: What is put in at the end of the budget: the tokens of a bridging text (or of a line
                break), of `</think>` and of a blank line.
        """
        self._budget_tokens = budget_tokens
        self._closing = tuple(closing_token_ids)
        self._next_index: int | None = None
        self._closes_now = False

    @property
    def is_closing(self) -> bool:
        """Whether tokens are being put in: some have been, and some are left."""
        return self._next_index is not None and self._next_index < len(self._closing)

    def close(self) -> bool:
        """Close the thought with the next token; False when closing has begun before."""
        if self._closes_now or self._next_index is not None:
            return False
        self._closes_now = True
        return True

    def next_forced(self, progress: ThoughtProgress) -> int | None:
        """Return the token that must come next, or None to let the model choose.

        Each call that returns a token counts as having put it in. A thought the model has closed itself is left alone.
        """
        if self._next_index is None:
            if not progress.is_reasoning:
                return None
            is_used_up = self._budget_tokens is not None and progress.reasoning_tokens >= self._budget_tokens
            if not is_used_up and not self._closes_now:
                return None
            self._next_index = 0
        if self._next_index >= len(self._closing):
            return None
        self._next_index += 1
        return self._closing[self._next_index - 1]
