"""Tables: each tensor has exactly one place, in both directions, and a misfit is told in one line."""

from __future__ import annotations

from dataclasses import dataclass

import mlx.core as mx
import pytest

from edge.checkpoint.names.ops import Split
from edge.checkpoint.names.table import Drop, Rule, Table, Target, summarize_names
from edge.errors import WeightError


@dataclass(frozen=True)
class Stored:
    shape: tuple[int, ...]
    dtype: str = "BF16"


TABLE = Table(
    (
        Rule(("s.pair",), (Target("gate", (2, 5)), Target("up", (2, 5))), (Split(axis=0),)),
        Rule(("s.packed",), (Target("packed", (3, 4), "U32"),)),
    ),
    (Drop(r"s\..*inv_freq", "computed"),),
)
FITTING = {"s.pair": Stored((4, 5)), "s.packed": Stored((3, 4), "U32")}


def test_a_fitting_set_gives_the_rules() -> None:
    assert TABLE.plan(FITTING, where="folder") == TABLE.rules


def test_a_listed_drop_is_reported_with_its_reason() -> None:
    match = TABLE.match({**FITTING, "s.0.inv_freq": Stored((1,))})
    assert (match.fits, match.dropped) == (True, {"s.0.inv_freq": "computed"})


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({"s.pair": Stored((4, 5))}, r"folder: expected 1 tensor: s\.packed, not found in the weights\. Download"),
        ({**FITTING, "x": Stored((1,))}, "folder: found tensors that do not belong .*: 1 tensor: x. Remove"),
        ({**FITTING, "s.pair": Stored((5, 4))}, r"s\.pair should have shape \[4, 5\], found \[5, 4\]"),
        ({**FITTING, "s.pair": Stored((4, 5), "U32")}, "s.pair should be stored as F32 or F16 or BF16 or F64, found U"),
        ({**FITTING, "s.packed": Stored((3, 4))}, "s.packed should be stored as U32, found BF16"),
    ],
)
def test_a_misfit_is_refused(stored: dict[str, Stored], message: str) -> None:
    with pytest.raises(WeightError, match=message):
        TABLE.plan(stored, where="folder")


def test_a_rule_gives_named_targets_and_back() -> None:
    source = mx.arange(20).reshape(4, 5)
    targets = TABLE.rules[0].apply([source])
    assert mx.array_equal(targets["up"], source[2:])
    assert mx.array_equal(TABLE.rules[0].inverse(list(targets.values()))["s.pair"], source)


@pytest.mark.parametrize(
    "rules",
    [
        (Rule(("a",), (Target("x", (1,)),)), Rule(("a",), (Target("y", (1,)),))),
        (Rule(("a",), (Target("x", (1,)),)), Rule(("b",), (Target("x", (1,)),))),
    ],
)
def test_a_table_with_two_places_for_one_tensor_cannot_be_built(rules: tuple[Rule, ...]) -> None:
    with pytest.raises(AssertionError, match=r"in two rules|filled by two rules"):
        Table(rules)


def test_many_names_are_told_by_kind() -> None:
    names = [f"a.{layer}.b.{part}.w" for layer in range(3) for part in range(2)] + ["c", "d", "e"]
    assert summarize_names(names, limit=3) == "9 tensors: a.N.b.N.w (6 times), c, d and 1 more kinds"
