from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.run.costs import StepCosts
from edge.run.lookup import NO_GUESS, Guess
from edge.run.speculate import LONG_MATCH, Guesser, most_guessed, plan_guesses

PHRASE = [11, 12, 13, 14, 15, 16, 17, 18, 19]


class Priced(StepCosts):
    """Costs as given: how much longer each guessed token makes a step."""

    def __init__(self, each: float | None, *, is_trial: bool = False) -> None:
        super().__init__()
        self._each = each
        self._is_trial = is_trial

    def ratio(self, num_rows: int, num_guessed: int) -> float | None:
        return 1.0 if num_guessed == 0 else None if self._each is None else 1.0 + self._each * num_guessed

    def allows_trial(self, num_rows: int) -> bool:
        return self._is_trial


@dataclass
class PlainRow:
    """A row that only guesses."""

    token_ids: list[int]
    pending: int
    prompt: list[int] = field(default_factory=lambda: [1, 2, *PHRASE, 30, 31, 32, 33])
    guess_room: int = 100
    pending_id: int | None = None
    waits: int = 0
    guess: Guess = NO_GUESS
    barred: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        prompt = np.array(self.prompt, dtype=np.int32)
        self.guesser: Guesser | None = Guesser(prompt, barred=self.barred, most=3)

    def read_pending(self) -> int:
        self.waits += self.pending_id is None
        self.pending_id = self.pending
        return self.pending

    def cut_guess(self, guess: Guess) -> Guess:
        return guess


def guessed(row: PlainRow, costs: StepCosts) -> tuple[int, ...]:
    plan_guesses([row], costs)
    return row.guess.token_ids


def test_a_cheap_step_guesses_as_much_as_it_may() -> None:
    assert guessed(PlainRow(PHRASE[:4], 15), Priced(0.05)) == (16, 17, 18)


def test_a_step_that_costs_as_much_as_its_tokens_guesses_nothing() -> None:
    row = PlainRow(PHRASE[:4], 15)
    assert guessed(row, Priced(1.0)) == ()
    assert row.waits == 0


def test_dear_tokens_are_guessed_only_as_far_as_they_pay() -> None:
    assert guessed(PlainRow(PHRASE[:4], 15), Priced(0.5)) == (16,)


def test_without_a_match_the_pending_token_is_not_waited_for() -> None:
    row = PlainRow([80, 81], 82)
    assert guessed(row, Priced(0.0)) == ()
    assert row.waits == 0


def test_a_guess_ends_before_what_may_not_be_guessed() -> None:
    assert guessed(PlainRow(PHRASE[:4], 15, barred=frozenset([17])), Priced(0.0)) == (16,)
    assert guessed(PlainRow(PHRASE[:4], 15, barred=frozenset([16])), Priced(0.0)) == ()


@pytest.mark.parametrize(("room", "count"), [(0, 0), (2, 2), (-1, 0)])
def test_a_guess_stays_within_the_room(room: int, count: int) -> None:
    assert len(guessed(PlainRow(PHRASE[:4], 15, guess_room=room), Priced(0.0))) == count


def test_unknown_costs_are_tried_on_long_runs_only() -> None:
    trial = Priced(None, is_trial=True)
    assert guessed(PlainRow(PHRASE[:6], 17), trial) == (18, 19, 30)
    assert guessed(PlainRow(PHRASE[:2], 13), trial) == ()
    assert guessed(PlainRow(PHRASE[:6], 17), Priced(None)) == ()


def test_one_row_of_many_tries_out_the_cost() -> None:
    rows = [PlainRow(PHRASE[:6], 17), PlainRow(PHRASE[:6], 17)]
    plan_guesses(rows, Priced(None, is_trial=True))
    assert [len(row.guess.token_ids) for row in rows] == [3, 0]


def test_wrong_guesses_end_the_guessing_and_right_ones_bring_it_back() -> None:
    row = PlainRow(PHRASE[:4], 15)
    assert row.guesser is not None
    for _ in range(12):
        row.guesser.note(Guess((1, 2, 3), 5), 0)
    assert guessed(row, Priced(0.2)) == ()
    for _ in range(12):
        row.guesser.note(Guess((1, 2, 3), 5), 3)
    assert guessed(row, Priced(0.2)) == (16, 17, 18)
    assert (row.guesser.num_guessed, row.guesser.num_right) == (72, 36)


def test_a_row_that_lost_by_guessing_waits_until_that_is_little_of_its_answer() -> None:
    row, costs = PlainRow(PHRASE[:4], 15), Priced(0.1)
    assert row.guesser is not None
    assert guessed(row, costs) == (16, 17, 18)
    assert row.guesser.price == pytest.approx(0.3)
    row.guesser.note(row.guess, 3)  # gave 3 tokens for the time of 0.3
    for _ in range(16):
        assert guessed(row, costs) == (16, 17, 18)
        row.guesser.note(Guess((1, 2, 3), 2), 0)  # of another length: the rate of this one stays high
    assert guessed(row, costs) == ()  # 2.1 tokens lost
    row.token_ids = [40] * 130 + PHRASE[:4]
    assert guessed(row, costs) == (16, 17, 18)


def test_a_guess_whose_cost_is_unknown_is_taken_for_dear() -> None:
    row = PlainRow(PHRASE[:6], 17)
    assert guessed(row, Priced(None, is_trial=True))
    assert row.guesser is not None
    assert row.guesser.price == 3


def test_a_guess_of_one_row_holds_all_rows_up() -> None:
    rows = [PlainRow(PHRASE[:6], 17), PlainRow(PHRASE[:6], 17)]
    plan_guesses(rows, Priced(0.1))
    for row in rows:
        assert row.guesser is not None
        assert row.guesser.price == pytest.approx(2 * 0.1 * len(row.guess.token_ids))


def test_rates_of_short_runs_say_nothing_about_long_ones() -> None:
    row = PlainRow(PHRASE[:8], 19, prompt=[1, 2, *PHRASE, 30, 31, 32, 33])
    assert row.guesser is not None
    for _ in range(30):
        row.guesser.note(Guess((1, 2, 3), 2), 0)
    assert guessed(row, Priced(0.2)) == (30, 31, 32)


def test_a_run_has_to_be_as_long_as_pays() -> None:
    asked: list[int] = []

    class Asked(Guesser):
        def look(self, answer_ids: Sequence[int], pending: int | None, *, most: int, least: int = 2) -> Guess:
            asked.append(least)
            return super().look(answer_ids, pending, most=most, least=least)

    def least(costs: StepCosts) -> list[int]:
        row = PlainRow(PHRASE[:3], 14, pending_id=14)
        row.guesser = Asked(np.array(row.prompt, dtype=np.int32), barred=frozenset(), most=3)
        asked.clear()
        plan_guesses([row], costs)
        return list(asked)

    assert least(Priced(0.2)) == [2]  # 0.3 tokens for 0.2 and what has to be won
    assert least(Priced(0.3)) == [3]
    assert least(Priced(0.5)) == [4]
    assert least(Priced(0.7)) == [LONG_MATCH]
    assert least(Priced(0.8)) == []  # 0.8 tokens at best: not even a search
    assert least(Priced(0.8, is_trial=True)) == [6]
    assert least(Priced(0.2, is_trial=True)) == [2]


def test_what_pays_is_worked_out_again_when_a_rate_or_a_cost_changes() -> None:
    row, costs = PlainRow(PHRASE[:4], 15), Priced(0.7)
    assert row.guesser is not None
    assert guessed(row, costs) == ()
    for _ in range(12):
        row.guesser.note(Guess((1, 2, 3), 5), 3)
    assert guessed(row, costs) == (16, 17, 18)
    row, costs = PlainRow(PHRASE[:4], 15), Priced(2.0)
    assert guessed(row, costs) == ()
    costs._each, costs.version = 0.1, 1
    assert guessed(row, costs) == (16, 17, 18)
    row = PlainRow(PHRASE[:4], 15)
    assert guessed(row, Priced(2.0)) == ()
    assert guessed(row, Priced(0.1)) == (16, 17, 18)


TOKENS = st.lists(st.integers(0, 2), min_size=3, max_size=40)
NOTES = st.lists(st.tuples(st.sampled_from([2, 3, 4, 8]), st.integers(0, 3)), max_size=12)


@given(TOKENS, st.integers(1, 39), NOTES, st.floats(0.0, 1.2), st.booleans())
def test_sparing_a_search_changes_no_guess(
    tokens: list[int], split: int, notes: list[tuple[int, int]], each: float, is_trial: bool
) -> None:
    assert _planned(tokens, split, notes, Priced(each, is_trial=is_trial), Guesser) == _planned(
        tokens, split, notes, Priced(each, is_trial=is_trial), Searching
    )


class Searching(Guesser):
    """Searches for runs of every length."""

    def needed(self, given: Hashable, work_out: Callable[[], int | None]) -> int | None:
        return 2


def _planned(
    tokens: list[int], split: int, notes: list[tuple[int, int]], costs: StepCosts, guesser: type[Guesser]
) -> Guess:
    split = min(split, len(tokens) - 1)
    row = PlainRow(tokens[split:-1], tokens[-1], prompt=tokens[:split])
    row.guesser = guesser(np.array(row.prompt, dtype=np.int32), barred=frozenset(), most=3)
    for matched, num_right in notes:
        row.guesser.note(Guess((1, 2, 3), matched), num_right)
    plan_guesses([row], costs)
    return row.guess


def test_a_row_without_a_guesser_guesses_nothing() -> None:
    row = PlainRow(PHRASE[:4], 15)
    row.guesser = None
    assert guessed(row, Priced(0.0)) == ()


@pytest.mark.parametrize(
    ("heads", "kv_heads", "most"), [(32, 4, 3), (64, 8, 3), (64, 4, 1), (32, 8, 7), (16, 8, 7), (64, 1, 0)]
)
def test_attention_takes_a_step_of_this_size(heads: int, kv_heads: int, most: int) -> None:
    assert most_guessed(num_heads=heads, num_kv_heads=kv_heads) == most
