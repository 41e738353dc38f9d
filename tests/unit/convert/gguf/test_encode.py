"""Values that a type cannot hold are refused; the bytes of types are held against llama.cpp in tests/parity."""

from __future__ import annotations

import numpy as np
import pytest

from convert.gguf.encode import check_finite, encode_rows
from edge.checkpoint.ggml.types import TYPES
from edge.errors import WeightError


def test_f16_refuses_what_would_become_infinite() -> None:
    rows = np.full((2, 32), 65504.0, np.float32)
    assert np.isfinite(np.frombuffer(encode_rows(rows, TYPES["F16"]), "<f2")).all()
    rows[1, 7] = -70000
    with pytest.raises(WeightError, match=r"blk\.0\.w: found values beyond the range of F16 \(65504\)"):
        encode_rows(rows, TYPES["F16"], name="blk.0.w")
    assert np.frombuffer(encode_rows(rows, TYPES["F32"]), "<f4").min() == -70000


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_values_that_are_no_numbers_are_refused(value: float) -> None:
    rows = np.zeros((2, 32), np.float32)
    check_finite(rows, "w")
    rows[0, 0] = value
    with pytest.raises(WeightError, match="w: found values that are infinite or not a number"):
        check_finite(rows, "w")


@pytest.mark.parametrize("name", ["Q8_0", "Q4_0", "Q4_K", "Q6_K", "Q3_K", "IQ4_XS", "IQ3_S"])
def test_values_beyond_the_scales_of_blocks_are_refused_and_no_others(name: str) -> None:
    kind = TYPES[name]
    rows = np.random.default_rng(0).standard_normal((2, 512)).astype(np.float32)
    for scale in (0, 1e-38, 1, 1e3, 5e4):
        encode_rows(rows * np.float32(scale), kind)
    for scale in (1e9, 1e20, 1e37):
        with pytest.raises(WeightError, match=rf"w: found values up to .* beyond the range of {name}\. Choose BF16"):
            encode_rows(rows * np.float32(scale), kind, name="w")
