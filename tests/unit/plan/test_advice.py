from __future__ import annotations

from dataclasses import replace

from edge.memory import GB
from edge.plan.advice import advise, fitting_recipes
from edge.plan.estimate import Task, estimate
from edge.plan.family import FAMILY
from edge.plan.machine import ON_METAL, Machine, parse_mac
from edge.plan.weights import recipe_bytes

CONFIG = FAMILY["30B-A3B"]
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


def test_the_recipe_that_would_fit_is_named() -> None:
    assert "at 4bit-mixed needs" in fitting_recipes(CONFIG, available=20 * GB)
