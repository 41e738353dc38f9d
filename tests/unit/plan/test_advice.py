from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from edge.memory import GB
from edge.plan.advice import advise, fitting_recipes
from edge.plan.estimate import Task, estimate
from edge.plan.family import FAMILY
from edge.plan.machine import ON_METAL, Machine, parse_mac
from edge.plan.recipes import LEAST_LOSS_FIRST, RECIPES
from edge.plan.weights import recipe_bytes

CONFIG = FAMILY["30B-A3B"]
# The two tables of recipes in docs/measured.md: names and KL.
TABLES = [
    [(name, float(kl)) for name, kl in re.findall(r"^\| ([\w-]+) \| [\d.]+ \| ([\d.]+)(?: ± [\d.]+)? \|", part, re.M)]
    for part in re.findall(r"^\| MLX recipe .+?\n\n", Path("docs/measured.md").read_text(encoding="utf-8"), re.M | re.S)
]
WEIGHTS = recipe_bytes(CONFIG, "4bit")


def fits(task: Task, machine: Machine, weights: int = WEIGHTS) -> bool:
    found = estimate(CONFIG, task, weight_bytes=weights, precision=machine.precision)
    return found.peak_bytes <= machine.usable_bytes


def test_a_task_that_fits_needs_no_advice() -> None:
    assert advise(CONFIG, Task(8192), weight_bytes=WEIGHTS, machine=parse_mac("48 GB")) == []


def test_each_piece_of_advice_makes_it_fit_by_itself() -> None:
    machine = Machine("a machine", 22 * GB, ON_METAL)
    task = Task(40_000)
    assert not fits(task, machine)
    advice = advise(CONFIG, task, weight_bytes=WEIGHTS, machine=machine)
    assert [line.split()[0] for line in advice] == ["fewer", "--kv-bits", "--context"]
    assert fits(task, machine, recipe_bytes(CONFIG, advice[0].split(": ")[1]))
    assert fits(replace(task, kv_bits=8), machine)
    context = int(advice[2].split()[1])
    assert fits(replace(task, context_tokens=context), machine)
    assert not fits(replace(task, context_tokens=context + 256), machine)


def test_a_large_picture_is_to_be_made_smaller() -> None:
    machine = Machine("a machine", 20 * GB, ON_METAL)
    task = Task(4096, image=(4096, 4096))
    advice = advise(CONFIG, task, weight_bytes=WEIGHTS, machine=machine)
    assert any("pictures of at most" in line for line in advice)


def test_where_one_change_is_not_enough_all_are_told_together() -> None:
    advice = advise(CONFIG, Task(131_072, image=(4096, 4096)), weight_bytes=2 * WEIGHTS, machine=parse_mac("24 GB"))
    assert len(advice) == 1
    assert advice[0].startswith("all together: ")


def test_where_nothing_helps_nothing_is_told() -> None:
    assert advise(CONFIG, Task(4096), weight_bytes=WEIGHTS, machine=parse_mac("8 GB")) == []
    assert fitting_recipes(CONFIG, available=GB) == ""


@pytest.mark.parametrize(
    ("gigabytes", "name"), [(20, "4bit-experts"), (18, "3bit-experts"), (15.4, "3bit-experts"), (14.5, "3bit")]
)
def test_the_recipe_that_would_fit_and_loses_least_is_named(gigabytes: float, name: str) -> None:
    """3bit-mixed takes 15.32 GB and loses half as much again as 3bit-experts with 14.64 GB."""
    assert f"at {name} needs" in fitting_recipes(CONFIG, available=int(gigabytes * GB))


def test_every_recipe_has_a_place_among_the_losses() -> None:
    assert sorted(LEAST_LOSS_FIRST) == sorted(RECIPES), "give the recipe its place in LEAST_LOSS_FIRST, by its loss"


@pytest.mark.parametrize("table", TABLES)
def test_the_order_is_the_measured_one(table: list[tuple[str, float]]) -> None:
    losses = dict(table)
    assert len(losses) >= 6
    order = [losses[name] for name in LEAST_LOSS_FIRST if name in losses]
    assert all(worse >= 0.9 * better for better, worse in pairwise(order)), table
