from __future__ import annotations

import random
from typing import Any

import jsonschema
import pytest

from edge.tools.arguments import find_fault

SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "minLength": 2},
        "days": {"type": "integer", "minimum": 1, "maximum": 7},
        "unit": {"type": "string", "enum": ["C", "F"]},
        "places": {"type": "array", "items": {"anyOf": [{"type": "number"}, {"type": "null"}]}, "maxItems": 2},
        "more": {"type": "object", "additionalProperties": {"type": "boolean"}},
    },
    "required": ["city"],
    "additionalProperties": False,
}
VALUES: list[Any] = ["Rome", "R", "", 3, 0, 9, 2.5, True, None, "C", [1, None], [1, 2, 3], ["x"], {"a": True}, {"a": 1}]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "city is missing"),
        ({"city": 3}, "city: expected string, found 3"),
        ({"city": "Rome", "days": "3"}, "days: expected integer, found '3'"),
        ({"city": "Rome", "days": True}, "days: expected integer, found True"),
        ({"city": "Rome", "days": 9}, "days: expected maximum 7, found 9"),
        ({"city": "Rome", "unit": "K"}, "unit: expected one of 'C', 'F', found 'K'"),
        ({"city": "Rome", "places": [1, "x"]}, "places[1]: expected number, found 'x'"),
        ({"city": "Rome", "country": "Italy"}, "there is no country"),
    ],
)
def test_a_fault_is_named_where_it_is(arguments: dict[str, Any], said: str) -> None:
    fault = find_fault(arguments, SCHEMA)
    assert fault is not None
    assert said in fault


@pytest.mark.parametrize("seed", range(20))
def test_the_verdict_is_that_of_jsonschema(seed: int) -> None:
    chance = random.Random(seed)
    validator = jsonschema.Draft202012Validator(SCHEMA)
    for _ in range(200):
        names = chance.sample([*SCHEMA["properties"], "other"], k=chance.randint(0, 4))  # type: ignore[misc]  # a dict
        arguments = {name: chance.choice(VALUES) for name in names}
        assert (find_fault(arguments, SCHEMA) is None) == validator.is_valid(arguments), arguments


def test_what_a_schema_leaves_open_is_allowed() -> None:
    assert find_fault({"a": 1}, {}) is None
    assert find_fault({"a": 1}, True) is None
    assert find_fault({"a": "("}, {"properties": {"a": {"pattern": "("}}}) is None
    assert find_fault({"a": 1}, {"type": "object"}, is_closed=True) is not None
