"""Packed words: bit for bit those of mx.quantize."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from convert.mlx.packing import pack_codes


def unpack(words: mx.array, *, bits: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Read the little-endian bit stream of each row, the slow way."""
    rows = []
    for row in np.array(words):
        stream = int.from_bytes(row.astype("<u4").tobytes(), "little")
        rows.append([stream >> (bits * index) & (2**bits - 1) for index in range(32 * len(row) // bits)])
    return np.array(rows)


@pytest.mark.parametrize("group_size", [32, 64, 128])
@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
def test_words_are_those_of_mlx(bits: int, group_size: int) -> None:
    weight = mx.random.normal((6, 256), key=mx.random.key(bits))
    expected = mx.quantize(weight, group_size=group_size, bits=bits)[0].reshape(-1, group_size * bits // 32)
    packed = pack_codes(unpack(expected, bits=bits).T.astype(np.uint8), bits=bits)
    assert packed.dtype == np.uint32
    assert np.array_equal(packed, np.array(expected))


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
def test_the_largest_codes_do_not_spill_over(bits: int) -> None:
    codes = np.full((32, 3), 2**bits - 1, np.uint8)
    assert np.all(pack_codes(codes, bits=bits) == 2**32 - 1)
