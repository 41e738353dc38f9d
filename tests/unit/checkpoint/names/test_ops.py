"""Operations: what they do, that their inverse undoes it, and that they predict source shapes."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from edge.checkpoint.names.ops import Fp8Blocks, Inverse, Join, Op, Shapes, Split, Spread, Transpose, Unstack


def numbers(*shape: int) -> mx.array:
    return mx.array(np.random.default_rng(0).normal(0, 0.2, shape).astype(np.float32))


@pytest.mark.parametrize(
    ("op", "source_shape", "target_shapes"),
    [
        (Transpose((0, 2, 1)), (2, 3, 5), ((2, 5, 3),)),
        (Transpose((0, 2, 3, 4, 1)), (7, 3, 2, 4, 5), ((7, 2, 4, 5, 3),)),
        (Split(axis=1), (2, 6, 5), ((2, 3, 5), (2, 3, 5))),
        (Split(axis=-1, parts=3), (2, 6), ((2, 2), (2, 2), (2, 2))),
        (Unstack(axis=1, parts=3), (2, 3, 5), ((2, 5), (2, 5), (2, 5))),
        (Unstack(axis=-1, parts=3), (2, 5, 3), ((2, 5), (2, 5), (2, 5))),
        (Inverse(Transpose((1, 2, 0)), ((3, 5, 2),)), (3, 5, 2), ((2, 3, 5),)),
        (Inverse(Join(axis=0, sizes=(4, 1, 2)), ((7, 3),)), (7, 3), ((4, 3), (1, 3), (2, 3))),
        (Inverse(Join(axis=-2, sizes=(4, 3)), ((2, 7, 3),)), (2, 7, 3), ((2, 4, 3), (2, 3, 3))),
    ],
)
def test_inverse_undoes_apply_and_shapes_are_predicted(
    op: Op, source_shape: tuple[int, ...], target_shapes: Shapes
) -> None:
    source = numbers(*source_shape)
    targets = op.apply((source,))
    assert tuple(target.shape for target in targets) == target_shapes
    assert op.source_shapes(target_shapes) == (source_shape,)
    assert mx.array_equal(op.inverse(targets)[0], source)


def test_join_predicts_the_shapes_of_its_parts() -> None:
    assert Join(axis=-2, sizes=(4, 3)).source_shapes(((2, 7, 3),)) == ((2, 4, 3), (2, 3, 3))


@pytest.mark.parametrize("unit_axes", [0, 2])
def test_spread_repeats_each_array_and_its_inverse_takes_one(unit_axes: int) -> None:
    op, arrays = Spread((3, 2), unit_axes), (numbers(4), numbers(4) + 1)
    first, second = op.apply(arrays)
    assert (first.shape, second.shape) == ((3, *[1] * unit_axes, 4), (2, *[1] * unit_axes, 4))
    assert op.source_shapes((first.shape, second.shape)) == ((4,), (4,))
    assert all(mx.array_equal(row.flatten(), arrays[1]) for row in second)
    assert all(mx.array_equal(a, b) for a, b in zip(op.inverse((first, second)), arrays, strict=True))


def test_split_keeps_the_order_of_the_halves() -> None:
    first, second = Split(axis=0).apply((mx.array([[1.0], [2.0]]),))
    assert (first.item(), second.item()) == (1.0, 2.0)


def e4m3(code: int) -> float:
    """Decode by the definition: 1 sign, 4 exponent (bias 7), 3 mantissa bits, no infinity."""
    sign, exponent, mantissa = -1.0 if code & 0x80 else 1.0, (code >> 3) & 0xF, code & 7
    return sign * (mantissa / 8 * 2.0**-6 if exponent == 0 else (1 + mantissa / 8) * 2.0 ** (exponent - 7))


def test_every_fp8_code_decodes_by_the_definition() -> None:
    codes = [code for code in range(256) if code & 0x7F != 0x7F]  # the two others are NaN
    decoded = Fp8Blocks((1, 128)).apply((mx.array([codes], mx.uint8), mx.ones((1, 2))))[0]
    assert np.array(decoded).tolist() == [[e4m3(code) for code in codes]]


@pytest.mark.parametrize("shape", [(5, 7), (4, 6), (3, 5, 7), (2, 3, 5, 7)])
def test_fp8_scales_multiply_their_block_of_the_last_two_axes(shape: tuple[int, ...]) -> None:
    op = Fp8Blocks((2, 3))
    code_shape, scale_shape = op.source_shapes((shape,))
    random = np.random.default_rng(1)
    codes = random.integers(0, 0x7F, code_shape).astype(np.uint8)
    scales = random.random(scale_shape).astype(np.float32)
    expected = np.vectorize(e4m3)(codes).astype(np.float32)
    for index in np.ndindex(*shape):
        expected[index] *= scales[(*index[:-2], index[-2] // 2, index[-1] // 3)]
    decoded = op.apply((mx.array(codes), mx.array(scales)))[0]
    assert decoded.dtype == mx.float32
    assert np.array_equal(np.array(decoded), expected)


def test_fp8_decodes_to_the_wanted_dtype_from_float32_products() -> None:
    codes, scales = mx.array([[0x39]], mx.uint8), mx.array([[1.0039]])
    exact = Fp8Blocks((128, 128)).apply((codes, scales))[0]
    rounded = Fp8Blocks((128, 128), mx.bfloat16).apply((codes, scales))[0]
    assert rounded.dtype == mx.bfloat16
    assert mx.array_equal(rounded, exact.astype(mx.bfloat16))


def test_fp8_encoding_stays_within_its_grid() -> None:
    op = Fp8Blocks((16, 8))
    weight = numbers(3, 40, 20)
    codes, scales = op.inverse((weight,))
    assert (codes.dtype, codes.shape, scales.shape) == (mx.uint8, (3, 40, 20), (3, 3, 3))
    back = op.apply((codes, scales))[0]
    assert float(mx.abs(back - weight).max()) <= float(mx.abs(weight).max()) / 16  # 3 mantissa bits: half of 1/8
    again = op.apply(op.inverse((back,)))[0]
    assert mx.allclose(again, back, rtol=1e-6, atol=0)


def test_an_all_zero_fp8_block_stays_zero() -> None:
    op = Fp8Blocks((2, 2))
    assert mx.array_equal(op.apply(op.inverse((mx.zeros((4, 4)),)))[0], mx.zeros((4, 4)))
