"""Error compensation: less lost of the outputs, in the same format."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from convert.calibration.moments import Floats, damped
from convert.mlx.affine import Packed, quantize_affine
from convert.mlx.compensate import feedback_of, quantize_compensated

WIDTH, ROWS = 192, 40


def inputs(seed: int = 0, count: int = 500) -> Floats:
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(7).standard_normal((WIDTH, WIDTH)).astype(np.float32) ** 3
    rows: Floats = (rng.standard_normal((count, WIDTH)).astype(np.float32) @ mixing) / np.float32(10)
    return rows


def moments(rows: Floats) -> Floats:
    return damped(rows.T @ rows / np.float32(len(rows)))


def weight() -> mx.array:
    return (mx.random.normal((ROWS, WIDTH), key=mx.random.key(3)) * 0.05).astype(mx.bfloat16)


def output_error(packed: Packed, rows: Floats, *, group_size: int, bits: int) -> float:
    unpacked = mx.dequantize(packed.weight, packed.scales, packed.biases, group_size=group_size, bits=bits)
    gap = np.array(unpacked.astype(mx.float32) - weight().astype(mx.float32))
    return float(np.square(rows @ gap.T).sum())


@pytest.mark.parametrize(("bits", "group_size"), [(2, 64), (3, 32), (4, 64), (5, 32), (6, 64)])
def test_outputs_on_other_inputs_lose_less_than_with_a_search_alone(bits: int, group_size: int) -> None:
    feedback = feedback_of(moments(inputs()))
    own = quantize_compensated(weight(), feedback, group_size=group_size, bits=bits)
    searched = quantize_affine(weight(), group_size=group_size, bits=bits)
    others = inputs(seed=1)
    expected = output_error(searched, others, group_size=group_size, bits=bits)
    assert output_error(own, others, group_size=group_size, bits=bits) < 0.8 * expected
    mutant = quantize_compensated(weight(), np.negative(feedback), group_size=group_size, bits=bits)
    assert output_error(mutant, others, group_size=group_size, bits=bits) > expected


def test_inputs_that_say_nothing_leave_the_search() -> None:
    own = quantize_compensated(weight(), feedback_of(np.eye(WIDTH, dtype=np.float32)), group_size=64, bits=4)
    searched = quantize_affine(weight(), group_size=64, bits=4)
    assert mx.array_equal(own.scales, searched.scales)
    assert mx.array_equal(own.biases, searched.biases)
    codes = [np.array(packed.weight).view(np.uint8) for packed in (own, searched)]
    assert (codes[0] != codes[1]).mean() < 0.01  # a weight between two codes may go either way


def test_a_matrix_in_pieces_has_the_bytes_of_one_done_whole() -> None:
    feedback = feedback_of(moments(inputs()))
    whole = quantize_compensated(weight(), feedback, group_size=64, bits=4)
    parts = [
        quantize_compensated(weight()[rows], feedback, group_size=64, bits=4) for rows in (slice(0, 8), slice(8, 40))
    ]
    assert mx.array_equal(mx.concatenate([part.weight for part in parts]), whole.weight)
    assert mx.array_equal(mx.concatenate([part.scales for part in parts]), whole.scales)


def test_feedback_factors_the_moments() -> None:
    matrix = moments(inputs())
    upper = feedback_of(matrix.copy()) + np.eye(WIDTH, dtype=np.float32)
    assert np.array_equal(np.tril(upper, -1), np.zeros_like(upper))
    inverse = np.linalg.inv(upper.astype(np.float64))
    inner = inverse @ matrix @ inverse.T
    off = inner - np.diag(np.diagonal(inner))
    assert np.abs(off).max() < 1e-3 * np.abs(inner).max()


def test_moments_that_rounding_made_singular_are_damped_until_they_factor() -> None:
    rows = inputs(count=3)
    assert np.isfinite(feedback_of(rows.T @ rows)).all()
