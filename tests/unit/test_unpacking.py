"""Unpacked rows are those of `mx.dequantize`, bit by bit, in every packed form there is."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from edge import unpacking
from edge.config import LayerQuantization
from edge.config_json import PACKED_FORMS
from edge.unpacking import PART_BYTES, PART_VALUES, packed_rows, unpack

FORMS = [
    LayerQuantization(group_size, bits, mode)
    for mode, (group_sizes, widths) in PACKED_FORMS.items()
    for group_size in group_sizes
    for bits in widths
]
WIDTH, OUTPUTS = 384, 401


def every_code(form: LayerQuantization, *shape: int) -> tuple[mx.array, mx.array, mx.array | None]:
    """Make random codes of a matrix (..., I), and scales that are no NaN."""
    rng = np.random.default_rng(form.bits)
    *lead, width = shape
    codes = mx.array(rng.integers(0, 2**32, (*lead, width * form.bits // 32), dtype=np.uint32))
    groups = (*lead, width // form.group_size)
    if form.mode == "affine":
        scales, biases = (rng.standard_normal(groups, dtype=np.float32) for _ in range(2))
        return codes, mx.array(scales), mx.array(biases)
    return codes, mx.array(rng.integers(1, 127, groups, dtype=np.uint8)), None


def of_mlx(matrix: tuple[mx.array, mx.array, mx.array | None], form: LayerQuantization) -> np.ndarray:
    """Unpack by MLX."""
    return np.array(mx.dequantize(*matrix, form.group_size, form.bits, form.mode, dtype=mx.float32))


def ours(matrix: tuple[mx.array, mx.array, mx.array | None], form: LayerQuantization) -> np.ndarray:
    """Unpack by numpy."""
    out = np.empty((OUTPUTS, WIDTH), dtype=np.float32)
    unpack(packed_rows(*matrix, form), out=out)
    return out


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_unpacked_rows_are_mlx_s(form: LayerQuantization) -> None:
    assert OUTPUTS * WIDTH > PART_VALUES, "expected more than one part"
    matrix = every_code(form, OUTPUTS, WIDTH)
    assert np.array_equal(ours(matrix, form), of_mlx(matrix, form), equal_nan=True)  # two codes of mxfp8 are NaN


def test_another_group_size_is_noticed() -> None:
    form, mutant = LayerQuantization(64, 4, "affine"), LayerQuantization(32, 4, "affine")
    codes, scales, biases = every_code(form, OUTPUTS, WIDTH)
    assert biases is not None
    twice = mx.concatenate([scales, scales], axis=-1), mx.concatenate([biases, biases], axis=-1)
    assert not np.array_equal(ours((codes, *twice), mutant), of_mlx((codes, scales, biases), form))


def test_a_skipped_part_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    form, plain = LayerQuantization(64, 4, "affine"), unpacking._unpack_part
    matrix = every_code(form, OUTPUTS, WIDTH)
    first = matrix[0][:1], matrix[1][:1], None

    def skipping(packed: unpacking.PackedRows, out: np.ndarray) -> None:
        if np.array_equal(packed.codes[0], packed_rows(*first, form).codes[0]):
            plain(packed, out)

    monkeypatch.setattr(unpacking, "_unpack_part", skipping)
    assert not np.array_equal(ours(matrix, form), of_mlx(matrix, form))


def test_one_of_several_matrices_and_some_rows() -> None:
    form = LayerQuantization(32, 6, "affine")
    matrix = every_code(form, 3, OUTPUTS, WIDTH)
    out = np.empty((5, WIDTH), dtype=np.float32)
    unpack(packed_rows(*matrix, form)[2][7:12], out=out)
    assert np.array_equal(out, of_mlx(matrix, form)[2, 7:12])


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_unpacking_takes_no_more_memory_than_is_said(form: LayerQuantization) -> None:
    import tracemalloc

    packed = packed_rows(*every_code(form, OUTPUTS, WIDTH), form)
    out = np.empty((OUTPUTS, WIDTH), dtype=np.float32)
    unpack(packed, out=out)  # tables are made at the first use
    tracemalloc.start()
    unpack(packed, out=out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 1.1 * PART_BYTES
