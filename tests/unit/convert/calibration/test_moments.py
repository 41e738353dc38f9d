"""Triangles, shares and damping."""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx
import numpy as np
import pytest

from convert.calibration import moments
from convert.mlx.affine import Packed, quantize_affine
from convert.mlx.compensate import feedback_of, quantize_compensated


def symmetric(width: int) -> moments.Floats:
    rows = np.random.default_rng(width).standard_normal((2 * width, width)).astype(np.float32)
    return rows.T @ rows


@pytest.mark.parametrize("width", [1, 2, 7, 64])
def test_a_triangle_gives_its_matrix_back(width: int) -> None:
    matrix = symmetric(width)
    matrix = np.tril(matrix) + np.tril(matrix, -1).T
    packed = moments.pack_triangle(matrix)
    assert packed.size == moments.triangle_size(width)
    assert moments.triangle_width(packed.size) == width
    assert np.array_equal(moments.unpack_triangle(packed), matrix)
    assert np.array_equal(moments.triangle_diagonal(packed), np.diagonal(matrix))


def test_no_tokens_leave_everything_to_the_layer() -> None:
    assert moments.own_share(0, 64) == 0.0
    assert moments.own_share(64, 64) == 0.5
    assert moments.own_share(64_000, 64) > 0.99


@pytest.mark.parametrize("matrix", [np.zeros((4, 4), np.float32), np.ones((4, 4), np.float32)])
def test_damped_moments_are_never_singular(matrix: moments.Floats) -> None:
    assert np.linalg.eigvalsh(moments.damped(matrix.copy())).min() > 0


@pytest.mark.parametrize(("level", "is_worse"), [(moments.levelled, False), (moments.shrunk, True)])
def test_inputs_that_few_tokens_excited_are_not_free(level: Callable[..., moments.Floats], is_worse: bool) -> None:
    """Inputs are sparse; the calibration saw sixteen tokens many times, other prompts excite all alike."""
    rng = np.random.default_rng(5)
    seen = np.where(rng.random((16, 256)) < 0.1, 8 * rng.standard_normal((16, 256)), 0).astype(np.float32)
    weight = rng.standard_normal((32, 256)).astype(np.float32)
    found = level(seen.T @ seen / np.float32(len(seen)), 256, pull=moments.MIDDLE_PULL)
    own = quantize_compensated(mx.array(weight), feedback_of(moments.damped(found)), group_size=64, bits=4)
    searched = quantize_affine(mx.array(weight), group_size=64, bits=4)
    losses = [float(np.square(_unpacked(one) - weight).sum()) for one in (own, searched)]
    assert (losses[0] > 1.2 * losses[1]) == is_worse


def _unpacked(packed: Packed) -> moments.Floats:
    scales, biases = packed.scales.astype(mx.float32), packed.biases.astype(mx.float32)
    return np.array(mx.dequantize(packed.weight, scales, biases, group_size=64, bits=4))
