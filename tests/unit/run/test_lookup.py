from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.run.lookup import LEAST_MATCH, MOST_MATCH, NO_GUESS, Guess, Lookup


def found(token_ids: list[int], pending: int | None = None, *, most: int = 3) -> Guess:
    return Lookup(np.array(token_ids, dtype=np.int32)).find(pending, most=most)


def test_what_followed_the_same_tokens_is_guessed() -> None:
    assert found([1, 2, 3, 4, 5, 6, 2, 3]) == Guess((4, 5, 6), 2)


def test_the_longest_run_wins_over_a_later_one() -> None:
    assert found([7, 1, 2, 8, 9, 9, 1, 2, 4, 4, 7, 1, 2]) == Guess((8, 9, 9), 3)


def test_of_equal_runs_the_latest_is_taken() -> None:
    assert found([1, 2, 8, 9, 1, 2, 4, 5, 1, 2]).token_ids == (4, 5, 1)


def test_a_run_that_reaches_the_end_goes_on_in_the_guess() -> None:
    assert found([9, 1, 2, 1, 2], most=5) == Guess((1, 2, 1, 2, 1), 2)


def test_one_equal_token_is_no_reason_to_guess() -> None:
    assert found([1, 2, 3, 9, 3]) == NO_GUESS


@pytest.mark.parametrize(("least", "matched"), [(2, 3), (3, 3), (4, 0), (16, 0)])
def test_a_shorter_run_than_asked_for_is_no_reason_to_guess(least: int, matched: int) -> None:
    lookup = Lookup(np.array([1, 2, 3, 4, 9, 1, 2, 3], dtype=np.int32))
    assert lookup.find(None, most=1, least=least) == (Guess((4,), 3) if matched else NO_GUESS)


def test_the_pending_token_counts_for_one_call_only() -> None:
    lookup = Lookup(np.array([1, 2, 3, 4, 9, 2], dtype=np.int32))
    assert lookup.find(3, most=1) == Guess((4,), 2)
    assert lookup.find(None, most=1) == NO_GUESS
    lookup.extend([3])
    assert lookup.find(None, most=1) == Guess((4,), 2)


def test_a_prompt_shorter_than_a_run_gives_nothing() -> None:
    assert found([], 5) == NO_GUESS
    assert found([5]) == NO_GUESS


def test_answers_longer_than_the_spare_room_are_searched_too() -> None:
    lookup = Lookup(np.array([1, 2, 3], dtype=np.int32))
    for start in range(10, 2000, 10):
        lookup.extend(range(start, start + 10))
    assert lookup.find(1501, most=2) == NO_GUESS
    lookup.extend([1500])
    assert lookup.find(1501, most=2) == Guess((1502, 1503), 2)


@given(st.lists(st.integers(0, 3), max_size=40), st.integers(1, 6))
def test_a_guess_is_what_a_plain_search_finds(token_ids: list[int], most: int) -> None:
    assert found(token_ids, most=most) == plain_search(token_ids, most)


def plain_search(token_ids: list[int], most: int) -> Guess:
    """The same, by trying every place."""
    best, at = 0, -1
    for end in range(len(token_ids) - 1):
        equal = 0
        while equal <= end and equal < MOST_MATCH and token_ids[end - equal] == token_ids[-1 - equal]:
            equal += 1
        if equal >= max(best, LEAST_MATCH):
            best, at = equal, end
    if at < 0:
        return NO_GUESS
    text = list(token_ids)
    for _ in range(most):
        text.append(text[at + 1 + len(text) - len(token_ids)])
    return Guess(tuple(text[len(token_ids) :]), best)


@pytest.mark.parametrize("length", [2, 3, 17, 40])
def test_all_equal_tokens_guess_themselves(length: int) -> None:
    assert found([5] * length).token_ids == ((5, 5, 5) if length > LEAST_MATCH else ())
