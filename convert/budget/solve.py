"""Choose one option for every unit so that all bytes together stay under a budget and the loss is least.

In: units, each with options of known bytes and predicted loss; a budget. Out: one option for each. Options above the
lower convex hull of a unit are never better than a mixture of its neighbours, so the hull's steps are taken in the
order of what they save for a byte (the Lagrangian way), and what is left of the budget is filled with single changes.
Few units are also solved by a table over all bytes, and the better result counts. The relaxed optimum, which may mix
two options, bounds what any choice can reach.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

Key = TypeVar("Key")
_MOST_TABULATED = 160  # units; with more of them one step is a small share of the budget
_CELLS = 2**13
_LEAST_GAIN = 1e-15


@dataclass(frozen=True, slots=True)
class Option(Generic[Key]):
    """One way to store a unit: what it is, its bytes and its predicted loss."""

    key: Key
    num_bytes: int
    loss: float


@dataclass(frozen=True, slots=True)
class Unit(Generic[Key]):
    """Tensors that are stored alike, with their options."""

    name: str
    options: tuple[Option[Key], ...]


@dataclass(frozen=True, slots=True)
class Solution(Generic[Key]):
    """What was chosen.

    Attributes:
        chosen: Option of each unit, in order.
        bound: Loss that no choice under this budget can go below.
    """

    chosen: tuple[Option[Key], ...]
    bound: float

    @property
    def num_bytes(self) -> int:
        """Bytes of all units."""
        return sum(option.num_bytes for option in self.chosen)

    @property
    def loss(self) -> float:
        """Predicted loss of all units."""
        return sum(option.loss for option in self.chosen)


def least_bytes(units: Sequence[Unit[Key]]) -> int:
    """Return the bytes of the smallest option of every unit."""
    return sum(min(option.num_bytes for option in unit.options) for unit in units)


def solve(units: Sequence[Unit[Key]], *, budget: int) -> Solution[Key]:
    """Choose under a budget.

    Args:
        units: Each with one option or more.
        budget: Bytes; at least `least_bytes(units)`.
    """
    assert least_bytes(units) <= budget, "the caller refuses a budget that the smallest options exceed"
    hulls = [lower_hull(unit.options) for unit in units]
    places, left, bound = _climb(hulls, budget - sum(hull[0].num_bytes for hull in hulls))
    chosen = [hull[place] for hull, place in zip(hulls, places, strict=True)]
    _fill(units, chosen, left)
    if len(units) <= _MOST_TABULATED:
        other = _tabulate(units, budget)
        _fill(units, other, budget - sum(option.num_bytes for option in other))
        chosen = min(chosen, other, key=lambda options: sum(option.loss for option in options))
    return Solution(tuple(chosen), bound)


def lower_hull(options: Sequence[Option[Key]]) -> list[Option[Key]]:
    """Return the options from the smallest on that lie on the lower convex hull of loss over bytes."""
    hull: list[Option[Key]] = []
    for option in sorted(options, key=lambda option: (option.num_bytes, option.loss)):
        if hull and option.loss >= hull[-1].loss:
            continue  # more bytes, or as many, for nothing
        while len(hull) > 1 and _slope(hull[-2], hull[-1]) <= _slope(hull[-2], option):
            hull.pop()
        hull.append(option)
    return hull


def _slope(first: Option[Key], second: Option[Key]) -> float:
    """Return the loss saved for each byte more."""
    return (first.loss - second.loss) / (second.num_bytes - first.num_bytes)


def _climb(hulls: Sequence[Sequence[Option[Key]]], left: int) -> tuple[list[int], int, float]:
    """Take steps, the best for a byte first; return places on the hulls, bytes left, and the relaxed optimum's loss."""
    places = [0] * len(hulls)
    steps = [(-_slope(hull[0], hull[1]), index) for index, hull in enumerate(hulls) if len(hull) > 1]
    heapq.heapify(steps)
    bound, relaxed_left = sum(hull[0].loss for hull in hulls), float(left)
    while steps:
        slope, index = heapq.heappop(steps)
        hull, place = hulls[index], places[index]
        cost = hull[place + 1].num_bytes - hull[place].num_bytes
        taken = min(relaxed_left, cost)
        bound += slope * taken
        relaxed_left -= taken
        if cost > left:
            relaxed_left = 0.0  # from here on the relaxed optimum is spent
            continue  # what follows on this hull costs more still; other units may have smaller steps
        left -= cost
        places[index] += 1
        if place + 2 < len(hull):
            heapq.heappush(steps, (-_slope(hull[place + 1], hull[place + 2]), index))
    return places, left, bound


def _fill(units: Sequence[Unit[Key]], chosen: list[Option[Key]], left: int) -> None:
    """Spend what is left on the single changes that save most."""
    while True:
        best = max(
            (
                (chosen[index].loss - option.loss, index, option.num_bytes, option)
                for index, unit in enumerate(units)
                for option in unit.options
                if option.num_bytes - chosen[index].num_bytes <= left
            ),
            key=lambda item: item[:3],
        )
        gain, index, num_bytes, option = best
        if gain <= _LEAST_GAIN:
            return
        left -= num_bytes - chosen[index].num_bytes
        chosen[index] = option


def _tabulate(units: Sequence[Unit[Key]], budget: int) -> list[Option[Key]]:
    """Choose by a table of the least loss for every number of bytes, counted in cells and rounded up."""
    smallest = [min(option.num_bytes for option in unit.options) for unit in units]
    free = budget - sum(smallest)
    cell = max(1, -(-free // _CELLS))
    cells = free // cell + 1
    loss = np.zeros(cells)
    taken = np.zeros((len(units), cells), np.int16)
    for index, unit in enumerate(units):
        found = np.full(cells, np.inf)
        for place, option in enumerate(unit.options):
            cost = -(-(option.num_bytes - smallest[index]) // cell)
            if cost < cells:
                reached = found[cost:]
                better = loss[: cells - cost] + option.loss < reached
                reached[better] = (loss[: cells - cost] + option.loss)[better]
                taken[index, cost:][better] = place
        loss = found
    chosen, at = [], cells - 1
    for index in range(len(units) - 1, -1, -1):
        option = units[index].options[int(taken[index, at])]
        at -= -(-(option.num_bytes - smallest[index]) // cell)
        chosen.append(option)
    return chosen[::-1]
