from __future__ import annotations

import json
import time

import pytest

from edge.text.json_find import find_objects


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1} and {"b": 2}', [{"a": 1}, {"b": 2}]),
        ('{"a": {"b": [{"c": 1}]}}', [{"a": {"b": [{"c": 1}]}}, {"b": [{"c": 1}]}, {"c": 1}]),
        ('[{"a": 1}, {"b": {"c": 2}, "d', [{"a": 1}, {"c": 2}]),
        ("{'a': (1, 2), 'b': None,}", [{"a": (1, 2), "b": None}]),
        ('{"a": "line\nbreak"}', [{"a": "line\nbreak"}]),
        ("{set, builder} {1, 2} {} [", [{}]),
        ("{'a': '\\d'}", []),
    ],
)
def test_complete_objects_are_found(text: str, expected: list[object]) -> None:
    assert list(find_objects(text)) == expected


@pytest.mark.parametrize("depth", [500, 5000])
def test_deep_nesting_does_no_harm(depth: int) -> None:
    found = list(find_objects('{"a":' * depth + '{"z": 1}' + "}" * depth))
    assert found[-1] == {"z": 1}


@pytest.mark.parametrize("unit", ["[", "{", '{"a":', '[{"a":[', '{"', "{'a': ", "[1,"])
def test_hostile_text_takes_no_long_time(unit: str) -> None:
    text = unit * (40_000 // len(unit))
    started = time.perf_counter()
    assert list(find_objects(text + json.dumps({"z": 1}))) in ([{"z": 1}], [])
    assert time.perf_counter() - started < 10
