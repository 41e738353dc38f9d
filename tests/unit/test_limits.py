"""Bounds of an engine are refused out of range, by their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.errors import RequestError
from edge.limits import EngineLimits


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("context_tokens", 0),
        ("chunk_tokens", "5"),
        ("max_rows", True),
        ("kept_turns", -1),
        ("kv_bits", 6),
        ("speculate", "often"),
        ("kept_bytes", "5"),
        ("vision_cache_bytes", -1),
        ("keep_folder", 5),
        ("keep_folder_bytes", 1.5),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_field(field: str, value: Any) -> None:  # Any: that is the point
    with pytest.raises(RequestError, match=f"^{field}: expected") as caught:
        EngineLimits(**{field: value})
    assert caught.value.field == field


def test_a_folder_may_be_named_by_text() -> None:
    assert EngineLimits(keep_folder="kept").keep_folder == Path("kept")  # type: ignore[arg-type]  # taken all the same
