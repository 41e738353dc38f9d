"""Guesses of tests: right ones with mistakes among them, and costs under which guessing always pays."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from edge.run.build import Speech
from edge.run.costs import StepCosts
from edge.run.job import Job
from edge.run.lookup import NO_GUESS, Guess
from edge.run.row import Row
from edge.run.speculate import Guesser


class FreeCosts(StepCosts):
    """A machine where a step of many tokens takes as long as one of one."""

    def ratio(self, num_rows: int, num_guessed: int) -> float | None:
        return 1.0


class CheapCosts(StepCosts):
    """A machine where each guess costs a quarter of one row's token: likely guesses pay."""

    def ratio(self, num_rows: int, num_guessed: int) -> float | None:
        return 1.0 + 0.25 * num_guessed / num_rows


class Knowing(Guesser):
    """Knows the answer, and errs now and then."""

    def __init__(self, answer: Sequence[int], *, seed: int, most: int = 3, mistakes: float = 0.3) -> None:
        super().__init__(np.array([1, 2], dtype=np.int32), barred=frozenset(), most=most)
        self._answer = list(answer)
        self._draw = random.Random(seed)
        self._mistakes = mistakes

    def look(self, answer_ids: Sequence[int], pending: int | None, *, most: int, least: int = 2) -> Guess:
        at = len(answer_ids) + (pending is not None)
        right = self._answer[at : at + most]
        guessed = [token_id if self._draw.random() >= self._mistakes else (token_id + 7) % 90 for token_id in right]
        return Guess(tuple(guessed), 8) if guessed else NO_GUESS


def give_guessers(monkeypatch: pytest.MonkeyPatch, guessers: dict[Job, Guesser]) -> None:
    """Give the rows of some jobs guessers of their own."""
    make_row = Speech.make_row

    def made(speech: Speech, job: Job, plan: Any, *, vocab_size: int, guesser: Any = None) -> Row:
        return make_row(speech, job, plan, vocab_size=vocab_size, guesser=guessers.get(job, guesser))

    monkeypatch.setattr(Speech, "make_row", made)
