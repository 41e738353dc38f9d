"""The solver against every choice there is, and its promises on larger problems."""

from __future__ import annotations

import itertools
import random

import pytest

from convert.budget.solve import Option, Solution, Unit, least_bytes, lower_hull, solve


def problem(rng: random.Random, *, num_units: int) -> list[Unit[int]]:
    units = []
    for index in range(num_units):
        size, weight = rng.randint(1, 30), rng.random() ** 3
        options = tuple(
            Option(bits, size * bits + rng.randint(0, size), weight * 4.0**-bits * rng.uniform(0.7, 1.3))
            for bits in (3, 4, 5, 6, 8)
        )
        units.append(Unit(f"unit {index}", options))
    return units


def best_loss(units: list[Unit[int]], budget: int) -> float:
    choices = itertools.product(*(unit.options for unit in units))
    return min(
        sum(option.loss for option in choice)
        for choice in choices
        if sum(option.num_bytes for option in choice) <= budget
    )


def solved(seed: int, num_units: int) -> tuple[list[Unit[int]], int, Solution[int]]:
    rng = random.Random(seed)
    units = problem(rng, num_units=num_units)
    low, high = least_bytes(units), sum(max(option.num_bytes for option in unit.options) for unit in units)
    budget = rng.randint(low, high)
    return units, budget, solve(units, budget=budget)


@pytest.mark.parametrize("seed", range(25))
def test_small_problems_are_solved_nearly_as_well_as_by_trying_everything(seed: int) -> None:
    units, budget, found = solved(seed, 5)
    best = best_loss(units, budget)
    assert found.num_bytes <= budget
    assert found.bound <= best + 1e-12
    assert found.loss <= 1.1 * best


@pytest.mark.parametrize("seed", range(5))
def test_large_problems_come_close_to_the_bound(seed: int) -> None:
    _, budget, found = solved(seed, 300)
    assert found.num_bytes <= budget
    assert found.loss <= 1.01 * found.bound


def test_more_bytes_never_lose_more() -> None:
    units = problem(random.Random(7), num_units=40)
    low = least_bytes(units)
    losses = [solve(units, budget=budget).bound for budget in range(low, 3 * low, low // 10)]
    assert losses == sorted(losses, reverse=True)


def test_the_hull_leaves_out_what_a_mixture_beats() -> None:
    options = [Option("a", 1, 10.0), Option("b", 2, 9.5), Option("c", 3, 1.0), Option("d", 4, 2.0), Option("e", 5, 0.9)]
    assert [option.key for option in lower_hull(options)] == ["a", "c", "e"]


def test_a_unit_with_one_option_keeps_it() -> None:
    fixed = Unit("norms", (Option("bf16", 10, 0.0),))
    free = Unit("matrix", (Option("small", 5, 1.0), Option("large", 8, 0.1)))
    assert [option.key for option in solve([fixed, free], budget=17).chosen] == ["bf16", "small"]
    assert [option.key for option in solve([fixed, free], budget=18).chosen] == ["bf16", "large"]
