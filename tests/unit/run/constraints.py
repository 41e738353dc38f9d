"""Constraints of tests: they depend on what came before, and need no grammar."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tests.unit.run.engines import NEWLINE
from tests.unit.run.tiny import tiny_config


class Alternating:
    """A constraint that depends on what came before: letters of the other half after each token."""

    is_finished = False

    def __init__(self) -> None:
        self._mask = np.zeros(tiny_config().text.vocab_size, dtype=np.bool_)
        self._mask[1:40] = True

    def allowed(self) -> np.ndarray:
        return self._mask

    def count_allowed(self, token_ids: Sequence[int]) -> int:
        wants_high = bool(self._mask[41])
        fits = [
            (token_id in range(41, 90)) if (wants_high ^ (i % 2)) else (token_id in range(1, 40))
            for i, token_id in enumerate(token_ids)
        ]
        return fits.index(False) if False in fits else len(fits)

    def accept(self, token_id: int) -> None:
        assert self._mask[token_id], "a token that was not allowed"
        self._mask = np.zeros_like(self._mask)
        self._mask[slice(41, 90) if token_id < 41 else slice(1, 40)] = True


class NewlinesThenAlternating(Alternating):
    """Lets the two newlines pass that close a thought."""

    def accept(self, token_id: int) -> None:
        if token_id != NEWLINE:
            super().accept(token_id)
