from __future__ import annotations

import json
from typing import Any

import pytest

from edge.text.json_cut import whole_members

FULL: dict[str, Any] = {"a": 'x", {', "b": [1.5, {"c": None}, []], "d": {"e": True, "f": "\\\u65e5"}, "g": -12}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("{", {}),
        ('{"a', {}),
        ('{"a": "b', {}),
        ('{"a": "b"', {"a": "b"}),
        ('{"a": 12', {}),
        ('{"a": 12,', {"a": 12}),
        ('{"a": 12 ', {"a": 12}),
        ('{"a": tru', {}),
        ('{"a": "x", "b": "y', {"a": "x"}),
        ('{"a": [1, 2', {"a": [1]}),
        ('{"a": [{"x": 1}, {"y": ', {"a": [{"x": 1}, {}]}),
        ('{"a": "x\\', {}),
        ('{"a": ",{[", "b": {"c": "\\u00', {"a": ",{[", "b": {}}),
        ('{"a": 1} x', {}),
        ("[1, 2", {}),
        ("nothing", {}),
    ],
)
def test_members_that_came_whole_are_kept(text: str, expected: dict[str, Any]) -> None:
    assert whole_members(text) == expected


def test_every_beginning_of_an_object_holds_no_more_than_the_whole() -> None:
    text = json.dumps(FULL)
    found = [whole_members(text[:end]) for end in range(len(text) + 1)]
    assert found[-1] == FULL
    assert [len(one) for one in found] == sorted(len(one) for one in found)
    assert all(FULL[key] == one[key] for one in found for key in ("a", "g") if key in one)
