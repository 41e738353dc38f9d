"""Triangles, shares and damping."""

from __future__ import annotations

import numpy as np
import pytest

from convert.calibration import moments


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
