"""Bounds of an engine are refused out of range, by their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
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


def test_whole_numbers_of_numpy_are_whole_numbers() -> None:
    limits = EngineLimits(context_tokens=np.int64(4096), kv_bits=np.int32(8), kept_bytes=np.uint8(5))  # type: ignore[arg-type]
    assert limits == EngineLimits(context_tokens=4096, kv_bits=8, kept_bytes=5)
    assert {type(limits.context_tokens), type(limits.kv_bits), type(limits.kept_bytes)} == {int}
