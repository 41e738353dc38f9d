"""The quick way to Q4_K, Q5_K and Q6_K gives libgguf's bytes, for every kind of values."""

from __future__ import annotations

import libgguf
import numpy as np
import pytest

pytest.importorskip("numba", reason="needs the extra quick")

from convert.gguf.quick import can_encode, encode_quickly
from edge.checkpoint.ggml.types import TYPES

RANDOM = np.random.default_rng(8)
SHAPE = (33, 768)  # a number of groups that 16 does not divide
VALUES = {
    "normal": RANDOM.normal(0, 0.02, SHAPE),
    "heavy tails": RANDOM.standard_t(2, SHAPE) * 0.02,
    "positive": np.abs(RANDOM.normal(0, 1, SHAPE)) + 0.5,
    "negative": -np.abs(RANDOM.normal(0, 1, SHAPE)) - 0.5,
    "sparse": RANDOM.normal(0, 0.02, SHAPE) * (RANDOM.random(SHAPE) < 0.02),
    "coarse": RANDOM.integers(-3, 4, SHAPE) / 8,
    "constant": np.full(SHAPE, -0.25),
    "zero": np.zeros(SHAPE),
    "small": RANDOM.normal(0, 1e-6, SHAPE),
    "of very different sizes": RANDOM.normal(0, 1, SHAPE) * 10.0 ** RANDOM.integers(-4, 2, (33, 24)).repeat(32, axis=1),
    "bfloat16": (RANDOM.normal(0, 0.02, SHAPE).astype(np.float32).view(np.uint32) >> 16 << 16).view(np.float32),
}


@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("name", ["Q4_K", "Q5_K", "Q6_K"])
def test_bytes_equal_libggufs(name: str, values: str) -> None:
    kind, rows = TYPES[name], np.ascontiguousarray(VALUES[values], np.float32)
    expected = libgguf.quantize_rows(rows, kind.number).reshape(-1, kind.block_bytes)
    np.testing.assert_array_equal(encode_quickly(rows, kind), expected)


def test_other_types_are_left_to_the_library() -> None:
    assert [name for name in TYPES if can_encode(TYPES[name])] == ["Q4_K", "Q5_K", "Q6_K"]
