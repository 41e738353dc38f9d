"""Searched scales: less error than mx.quantize, in the same format."""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx
import numpy as np
import pytest
from numpy.typing import NDArray

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


def group_errors(weight: mx.array, parts: tuple[mx.array, mx.array, mx.array], *, bits: int) -> NDArray[np.float64]:
    """Measure each row, a group of its own, in float64."""
    packed, scales, biases = parts
    exact = mx.dequantize(
        packed, scales.astype(mx.float32), biases.astype(mx.float32), group_size=weight.shape[1], bits=bits
    )
    gap = np.array(exact, np.float64) - np.array(weight.astype(mx.float32), np.float64)
    errors: NDArray[np.float64] = np.square(gap).sum(axis=1)
    return errors


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
@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
@pytest.mark.parametrize("make", [gaussian, with_outliers, shifted])
def test_no_group_becomes_worse(make: Maker, bits: int, group_size: int) -> None:
    weight = make(mx.random.key(1)).reshape(-1, group_size).astype(mx.bfloat16)
    found = group_errors(weight, searched(weight, group_size=group_size, bits=bits), bits=bits)
    peer = group_errors(weight, plain(weight, group_size=group_size, bits=bits), bits=bits)
    assert np.all(found <= peer * (1 + 1e-5))


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("value", [0.0, 1.0, -0.25, 3.296875, 1e-30, 30000.7])
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


@pytest.mark.parametrize("bits", [3, 4, 8])
def test_rows_do_not_depend_on_their_neighbours(bits: int) -> None:
    weight = mx.random.normal((9000, 64), key=mx.random.key(3))  # more than one block of groups
    whole = searched(weight, group_size=64, bits=bits)
    part = searched(weight[5000:5100], group_size=64, bits=bits)
    assert all(mx.array_equal(a[5000:5100], b) for a, b in zip(whole, part, strict=True))


@pytest.mark.parametrize("group_size", [32, 64, 128])
def test_a_lone_group_has_the_bytes_it_has_among_others(group_size: int) -> None:
    codes = mx.round(mx.random.normal((200, group_size), key=mx.random.key(5)) * 5)
    weight = codes * 0.3 + 0.7  # near ties, where the order of a sum shows
    whole = searched(weight, group_size=group_size, bits=4)
    alone = [searched(row, group_size=group_size, bits=4) for row in mx.split(weight, 200)]
    assert all(
        mx.array_equal(mx.concatenate(list(rows)), part)
        for rows, part in zip(zip(*alone, strict=True), whole, strict=True)
    )


@pytest.mark.parametrize("dtype", [mx.bfloat16, mx.float16, mx.float32])
def test_the_weight_is_left_as_it_was(dtype: mx.Dtype) -> None:
    weight = gaussian(mx.random.key(6)).astype(dtype)
    former = weight + 0
    mx.eval(weight, former)
    searched(weight, group_size=64, bits=4)
    assert mx.array_equal(weight, former)


@pytest.mark.parametrize("bits", [3, 8])
def test_a_weight_gives_the_same_bytes_in_every_type(bits: int) -> None:
    weight = gaussian(mx.random.key(7)).astype(mx.float16).astype(mx.bfloat16)
    narrow, wide = (searched(weight.astype(dtype), group_size=64, bits=bits) for dtype in (mx.bfloat16, mx.float32))
    assert all(mx.array_equal(a, b) for a, b in zip(narrow, wide, strict=True))
