from __future__ import annotations

import pytest

from edge.run.costs import AGAIN_TURNS, TRIALS, WAIT_TURNS, StepCosts


class Clock:
    """Time that passes as told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def turn(costs: StepCosts, clock: Clock, seconds: float, *, guessed: int = 0, right: int = 0, rows: int = 1) -> None:
    costs.start()
    clock.now += seconds
    costs.end(rows, guessed, right)


def measured(clock: Clock, wide: dict[int, list[float]], *, plain: float = 1.0) -> StepCosts:
    """Costs after plain turns and some wide ones."""
    costs = StepCosts(clock)
    for _ in range(6):
        turn(costs, clock, plain)
    for guessed, times in wide.items():
        for seconds in times:
            turn(costs, clock, seconds, guessed=guessed, right=guessed)
    return costs


def test_nothing_is_known_before_it_was_tried(clock: Clock) -> None:
    costs = measured(clock, {})
    assert costs.ratio(1, 3) is None
    assert costs.ratio(1, 0) == 1.0


def test_a_cost_is_told_in_plain_steps_and_one_slow_trial_does_not_count(clock: Clock) -> None:
    assert measured(clock, {3: [90.0, 3.0, 3.2]}, plain=2.0).ratio(1, 3) == pytest.approx(1.6)


def test_fewer_trials_are_not_believed(clock: Clock) -> None:
    assert measured(clock, {3: [1.5] * (TRIALS - 1)}).ratio(1, 3) is None


def test_what_was_not_tried_lies_on_a_line(clock: Clock) -> None:
    costs = measured(clock, {3: [4.0] * 3})
    assert [costs.ratio(1, number) for number in (1, 2, 6)] == pytest.approx([2.0, 3.0, 7.0])


def test_other_numbers_of_rows_have_costs_of_their_own(clock: Clock) -> None:
    assert measured(clock, {3: [4.0] * 3}).ratio(2, 3) is None


def test_a_turn_beside_other_work_is_not_measured(clock: Clock) -> None:
    costs = measured(clock, {3: [1.5] * 3})
    for _ in range(9):
        costs.disturb()
        turn(costs, clock, 50.0)
    turn(costs, clock, 1.5, guessed=3, right=3)
    assert costs.ratio(1, 3) == pytest.approx(1.5)


def test_trials_wait_for_plain_times_and_pause_after_a_wrong_guess(clock: Clock) -> None:
    assert not StepCosts().allows_trial(1)
    costs = measured(clock, {})
    assert costs.allows_trial(1)
    for right, wait in ((0, WAIT_TURNS), (2, WAIT_TURNS // 2)):
        turn(costs, clock, 4.0, guessed=4, right=right)
        waited = 0
        while not costs.allows_trial(1):
            turn(costs, clock, 1.0)
            waited += 1
        assert waited == wait


def test_what_is_known_is_tried_again_after_a_long_time(clock: Clock) -> None:
    costs = measured(clock, {3: [9.0] * 3})
    assert not costs.allows_trial(1)
    for _ in range(AGAIN_TURNS):
        turn(costs, clock, 1.0)
    assert costs.allows_trial(1)
