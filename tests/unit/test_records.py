"""`edge.records.dataclass` makes what the standard library's makes."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from edge.records import dataclass, quick_dataclass

MAKERS: tuple[Any, ...] = (quick_dataclass, dataclasses.dataclass)
OPTIONS = [
    {"frozen": frozen, "slots": slots, "eq": eq, "kw_only": kw_only}
    for frozen in (False, True)
    for slots in (False, True)
    for eq in (False, True)
    for kw_only in (False, True)
]


@dataclass(frozen=True, slots=True)
class Point:
    """A class that pickle finds."""

    x: int
    y: int


def _kinds(make: Callable[..., Any], **options: bool) -> Iterator[tuple[type, list[dict[str, Any]]]]:
    """Make classes of several forms, with the arguments for some objects of each."""

    @make(**options)
    class Plain:
        a: int
        b: str = "x"

    yield Plain, [{"a": 1}, {"a": 1, "b": "x"}, {"a": 2}, {"a": [3]}]

    @make(**options)
    class Chosen:
        a: int
        hidden: int = dataclasses.field(default=0, repr=False)
        apart: int = dataclasses.field(default=0, compare=False)
        unhashed: list[int] = dataclasses.field(default_factory=list, hash=False)

    yield Chosen, [{"a": 1}, {"a": 1, "apart": 5}, {"a": 1, "hidden": 5}, {"a": 1, "unhashed": [1]}]

    @make(**options)
    class Empty:
        pass

    yield Empty, [{}, {}]

    @make(**options)
    class Own:
        a: int

        def __repr__(self) -> str:
            return "own"

        def __eq__(self, other: object) -> bool:
            return True

    yield Own, [{"a": 1}, {"a": 2}]

    @make(**options)
    class OwnHash:
        a: int

        def __hash__(self) -> int:
            return 7

    yield OwnHash, [{"a": 1}, {"a": 1}]

    @make(**options)
    class Child(Plain):
        c: float = 0.5

    yield Child, [{"a": 1}, {"a": 1, "c": 2.0}]


def _said(action: Callable[..., object], *given: object) -> object:
    """Return what an action returns, or the name of its error."""
    try:
        return action(*given)
    except Exception as error:
        return type(error).__name__


def _renew(one: Any) -> dict[str, Any]:
    return dataclasses.asdict(dataclasses.replace(one))


def _facts(kind: Any, given: list[dict[str, Any]]) -> list[object]:
    """Say all that can be seen of a class and its objects, but for addresses."""
    made = [kind(**each) for each in given]
    facts: list[object] = [[(field.name, field.default) for field in dataclasses.fields(kind)]]
    facts += [kind.__match_args__, hasattr(made[0], "__dict__"), [repr(one) for one in made]]
    facts += [[one == other for one in made for other in made], [one == 3 for one in made]]
    keeps_address = kind.__hash__ is object.__hash__
    facts += [keeps_address, None if keeps_address else [_said(hash, one) for one in made]]
    facts += [[_said(action, one) for one in made] for action in (_renew, _set, _delete)]
    return facts


def _set(one: Any) -> None:
    one.a = 9


def _delete(one: Any) -> None:
    del one.a


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_classes_behave_like_the_standard_librarys(options: dict[str, bool]) -> None:
    ours, theirs = _kinds(quick_dataclass, **options), _kinds(dataclasses.dataclass, **options)
    for (mine, given), (standard, _) in zip(ours, theirs, strict=True):
        assert _facts(mine, given) == _facts(standard, given), mine.__name__


def test_without_options() -> None:
    made = [make(type("Bare", (), {"__annotations__": {"a": "int"}, "a": 1})) for make in MAKERS]
    for kind in made:
        assert kind() == kind(1) != kind(2), kind
    assert repr(made[0]()) == repr(made[1]()) == "Bare(a=1)"


def test_a_record_that_holds_itself_has_a_text() -> None:
    kind: Any = quick_dataclass(type("Ring", (), {"__annotations__": {"next": "object"}, "next": None}))
    ring: Any = kind()
    ring.next = ring
    assert repr(ring) == "Ring(next=...)"


def test_pickle_and_copy() -> None:
    one = Point(3, 4)
    assert type(one).__eq__ is not object.__eq__
    assert pickle.loads(pickle.dumps(one)) == one == copy.deepcopy(one)
    assert hash(one) == hash((3, 4))
