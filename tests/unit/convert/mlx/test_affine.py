"""Searched scales: less error than mx.quantize, in the same format."""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx
import numpy as np
import pytest

from convert.mlx.affine import quantize_affine

Maker = Callable[[mx.array], mx.array]


def gaussian(key: mx.array) -> mx.array:
    return mx.random.normal((96, 512), key=key) * 0.05


def with_outliers(key: mx.array) -> mx.array:
    return gaussian(key) ** 3 * 100


def shifted(key: mx.array) -> mx.array:
    return gaussian(key) + 0.7


def squared_error(weight: mx.array, parts: tuple[mx.array, mx.array, mx.array], *, group_size: int, bits: int) -> float:
    """Measure with the exact dequantization: float32 arithmetic on the scales as stored."""
    packed, scales, biases = parts
    assert (scales.dtype, biases.dtype) == (mx.bfloat16, mx.bfloat16)
    exact = mx.dequantize(
        packed, scales.astype(mx.float32), biases.astype(mx.float32), group_size=group_size, bits=bits
    )
    return float(mx.square(exact - weight.astype(mx.float32)).sum())


def searched(weight: mx.array, *, group_size: int, bits: int) -> tuple[mx.array, mx.array, mx.array]:
    packed = quantize_affine(weight, group_size=group_size, bits=bits)
    return packed.weight, packed.scales, packed.biases


def plain(weight: mx.array, *, group_size: int, bits: int) -> tuple[mx.array, mx.array, mx.array]:
    return mx.quantize(weight.astype(mx.bfloat16), group_size=group_size, bits=bits)


@pytest.mark.parametrize(("make", "share"), [(gaussian, 1.0), (with_outliers, 0.2), (shifted, 0.4)])
@pytest.mark.parametrize(("bits", "gain"), [(2, 0.12), (3, 0.10), (4, 0.08), (5, 0.06), (6, 0.06), (8, 0.20)])
def test_the_error_is_lower_than_that_of_mx_quantize(make: Maker, share: float, bits: int, gain: float) -> None:
    weight = make(mx.random.key(bits)).astype(mx.bfloat16)
    found = squared_error(weight, searched(weight, group_size=64, bits=bits), group_size=64, bits=bits)
    peer = squared_error(weight, plain(weight, group_size=64, bits=bits), group_size=64, bits=bits)
    assert (found / peer) ** 0.5 < 1 - gain * share


@pytest.mark.parametrize("group_size", [32, 64, 128])
@pytest.mark.parametrize("bits", [3, 4, 8])
def test_no_group_becomes_worse(group_size: int, bits: int) -> None:
    weight = with_outliers(mx.random.key(1)).reshape(-1, group_size)
    for row in mx.split(weight[::40], weight[::40].shape[0]):  # (1, group size)
        found = squared_error(row, searched(row, group_size=group_size, bits=bits), group_size=group_size, bits=bits)
        peer = squared_error(row, plain(row, group_size=group_size, bits=bits), group_size=group_size, bits=bits)
        assert found <= peer * (1 + 1e-5)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("value", [0.0, 1.0, -0.25, 3.296875, 1e-30])
def test_a_constant_group_is_as_exact_as_with_mx_quantize(bits: int, value: float) -> None:
    weight = mx.full((3, 64), value)
    found = squared_error(weight, searched(weight, group_size=64, bits=bits), group_size=64, bits=bits)
    assert found <= squared_error(weight, plain(weight, group_size=64, bits=bits), group_size=64, bits=bits)


def test_weights_that_fit_the_codes_come_back_exactly() -> None:
    weight = mx.array(np.random.default_rng(0).integers(-8, 8, (5, 128)).astype(np.float32) * 0.5)
    weight[:, ::64] = -4.0
    weight[:, 1::64] = 3.5
    assert squared_error(weight, searched(weight, group_size=64, bits=4), group_size=64, bits=4) == 0


def test_shapes_are_those_of_mx_quantize_for_experts() -> None:
    weight = mx.random.normal((3, 10, 192), key=mx.random.key(2))
    assert [part.shape for part in searched(weight, group_size=64, bits=6)] == [
        part.shape for part in plain(weight, group_size=64, bits=6)
    ]


def test_rows_do_not_depend_on_their_neighbours() -> None:
    weight = mx.random.normal((9000, 64), key=mx.random.key(3))  # more than one block of groups
    whole = searched(weight, group_size=64, bits=4)
    part = searched(weight[5000:5100], group_size=64, bits=4)
    assert all(mx.array_equal(a[5000:5100], b) for a, b in zip(whole, part, strict=True))


def test_scales_lie_on_the_asked_grid() -> None:
    packed = quantize_affine(gaussian(mx.random.key(4)), group_size=64, bits=4, dtype=mx.float16)
    assert (packed.scales.dtype, packed.biases.dtype) == (mx.float16, mx.float16)
