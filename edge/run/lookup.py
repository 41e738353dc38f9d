"""Guess what comes next from what was there before: the continuation of the last place that read the same.

In: the tokens of a prompt and of the answer so far. Out: the tokens that followed the longest equal run of tokens.
Answers that quote, correct, translate into a form or fill a table from the prompt are full of such places; others
have few. A guess is never more than that: the model decides.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge.records import dataclass

LEAST_MATCH = 2
"""A single equal token says next to nothing about what follows it."""
MOST_MATCH = 16
"""Longer runs are not told apart."""


@dataclass(frozen=True, slots=True)
class Guess:
    """Tokens that may come next.

    Attributes:
        token_ids: The tokens, the next one first; empty where nothing reads the same.
        matched: How many tokens before them were found, 0 or `LEAST_MATCH` to `MOST_MATCH`.
    """

    token_ids: tuple[int, ...]
    matched: int


NO_GUESS = Guess((), 0)


class Lookup:
    """The tokens of one row, in an array that is searched from end to end: 0.1 ms for 100,000 tokens."""

    def __init__(self, token_ids: np.ndarray) -> None:
        """Start with the tokens of a prompt, (L,)."""
        self._num_tokens = len(token_ids)
        self._token_ids = np.empty(self._num_tokens + 256, dtype=np.int32)
        self._token_ids[: self._num_tokens] = token_ids

    def __len__(self) -> int:
        return self._num_tokens

    def extend(self, token_ids: Sequence[int]) -> None:
        """Add tokens of the answer."""
        stop = self._num_tokens + len(token_ids)
        if stop >= len(self._token_ids):  # one place more, for `find`'s pending token
            self._token_ids = np.concatenate([self._token_ids, np.empty(stop, dtype=np.int32)])
        self._token_ids[self._num_tokens : stop] = token_ids
        self._num_tokens = stop

    def find(self, pending: int | None, *, most: int, least: int = LEAST_MATCH) -> Guess:
        """Guess the tokens after the last one.

        Args:
            pending: A token that follows those held, for this call only; None if there is none.
            most: Tokens to guess.
            least: Nothing is guessed after a run of fewer tokens.
        """
        length = self._num_tokens
        if pending is not None:
            self._token_ids[length] = pending
            length += 1
        if length <= least:
            return NO_GUESS
        ends, matched = _longest(self._token_ids[:length])
        if matched < least:
            return NO_GUESS
        token_ids = self._token_ids[:length]
        start = int(ends[-1]) + 1  # the latest of the longest
        period = length - start  # a run that reaches the end goes on in the guess itself
        return Guess(tuple(int(token_ids[start + index % period]) for index in range(most)), matched)


def _longest(token_ids: np.ndarray) -> tuple[np.ndarray, int]:
    """Find the places whose last tokens equal the last ones of all: where they end, and how many tokens are equal."""
    last = len(token_ids) - 1
    ends = np.flatnonzero(token_ids[:last] == token_ids[last])
    matched = 1 if len(ends) else 0
    while matched and matched < MOST_MATCH:
        further = ends[ends >= matched]
        further = further[token_ids[further - matched] == token_ids[last - matched]]
        if not len(further):
            break
        ends, matched = further, matched + 1
    return ends, matched
