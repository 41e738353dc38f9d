"""Typed access to JSON: wrong values are named with file and key, of any size."""

from __future__ import annotations

from typing import Any

import pytest

from edge.errors import ConfigError
from edge.json_reader import JsonReader


@pytest.mark.parametrize("value", [10**400, -1, 0, True, "1", [1], None, float("nan"), float("inf"), {"a": 1}])
def test_a_number_is_positive_and_finite(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"^file: x (should be a positive number|is missing)"):
        JsonReader({"x": value}, "file").number("x")


def test_a_value_of_any_length_is_shown_in_one_line() -> None:
    with pytest.raises(ConfigError, match="x should be true or false") as failure:
        JsonReader({"x": "\n" * 600_000}, "file").flag("x", False)
    assert len(str(failure.value)) <= 500
    assert "\n" not in str(failure.value)


def test_a_path_of_keys_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^file a b: c is missing"):
        JsonReader({"a": {"b": {}}}, "file").child("a").child("b").value("c")
