"""Notice a model that repeats itself without end, while its tokens come.

In: token ids one by one. Out: the period of an exactly periodic tail, once it is long enough to be a loop.
A list that counts up or a table whose cells change is not periodic. What repeats exactly for a good reason (rules,
zeros, empty cells) stays below the smallest length unless it fills `MIN_TOKENS` tokens: a table of several dozen
equal rows cannot be told from a loop.
"""

from __future__ import annotations

import numpy as np

MAX_PERIOD = 512
MIN_REPEATS = 3
MIN_TOKENS = 512


class LoopGuard:
    """Watch one answer; the work per token is a few numpy operations on `max_period` counters.

    Attributes:
        period: Tokens after which the tail repeats, None while it is no loop.
    """

    def __init__(
        self, *, max_period: int = MAX_PERIOD, min_repeats: int = MIN_REPEATS, min_tokens: int = MIN_TOKENS
    ) -> None:
        """Start watching.

        Args:
            max_period: Longest period that is noticed, in tokens.
            min_repeats: How often the period must stand at the end, at least 2.
            min_tokens: How long the periodic tail must be in all; it decides for periods below
                `min_tokens / min_repeats`.
        """
        assert max_period >= 1
        assert min_repeats >= 2
        self.period: int | None = None
        self._size = max_period
        # Every token is written twice, so that the last `max_period` tokens always stand in one piece, oldest first.
        self._history = np.full(2 * max_period, -1, np.int64)
        self._at = 0
        periods = np.arange(max_period, 0, -1)  # beside that piece: how long ago each of its tokens was
        # matches[i]: for how many tokens now each one equalled the one `periods[i]` before it.
        self._matches = np.zeros(max_period, np.int64)
        self._needed = np.maximum(periods * min_repeats, min_tokens) - periods

    def feed(self, token_id: int) -> bool:
        """Take a token; tell whether the tail is a loop now."""
        recent = self._history[self._at : self._at + self._size]
        self._matches += 1
        self._matches *= recent == token_id
        self._history[self._at] = self._history[self._at + self._size] = token_id
        self._at = (self._at + 1) % self._size
        looping = np.flatnonzero(self._matches >= self._needed)
        self.period = self._size - int(looping[-1]) if looping.size else None  # the shortest
        return self.period is not None
