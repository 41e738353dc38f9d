"""Search scales and biases of MLX's affine form by mean-square error: the form of `mx.quantize`, less error.

A group of weights w is stored as codes q, one scale s and one bias b; the weight read back is q * s + b. `mx.quantize`
spans the group's range and rounds s and b to the stored type afterwards, with the codes already chosen. Here s and b
are on the grid of the stored type before codes are chosen, and several ranges are tried:

* up to 6 bits: ranges cut at both ends; for the codes of each, the best s and b by least squares; steps around the best
* 8 bits: the range as it is, with neighbours on the coarse grid of s and b, from both ends of the range

`mx.quantize`'s own pair is among the candidates, so that no group becomes worse. Groups lie in columns, and the work
is done in blocks that stay in a processor's cache. It is numpy on every device: that takes less than half of the time
of the same steps on MLX's CPU backend (Linux x86-64), lets other threads run, and gives bytes that no device changes.
"""

from __future__ import annotations

from dataclasses import dataclass

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from convert.mlx.packing import pack_codes

Floats = NDArray[np.float32]
Rows = NDArray[np.uint16] | NDArray[np.float16] | NDArray[np.float32]  # (groups, group size); uint16 holds bfloat16

# bits -> share of a group's range that the codes span, and factors on the best scale, tried afterwards about the same
# centre. Twice as many of both lower the error of trained weights by another 0.2 % only.
_SPANS = {
    2: (0.9, 0.7),
    3: (0.95, 0.8),
    4: (0.97, 0.89),
    5: (0.99, 0.95),
    6: (1.0, 0.98),
    8: (0.995, 1.0, 1.005),
}
_STEPS = {2: (0.95, 1.05), 3: (0.95, 1.05), 4: (0.97, 1.03), 5: (0.985, 1.015), 6: (0.992, 1.008)}
_MLX_EPSILON = np.float32(1e-7)  # smallest scale of mx.quantize
_LEAST_SCALE = np.float32(1e-20)
_FIT_NOISE = np.float32(1e-6)  # error of a fit's error in float32, as a share of the group's spread
_BLOCK_WEIGHTS = 2**18  # three float32 arrays of 1 MB


@dataclass(frozen=True, slots=True)
class Packed:
    """A packed weight as MLX stores it."""

    weight: mx.array
    scales: mx.array
    biases: mx.array


def quantize_affine(weight: mx.array, *, group_size: int, bits: int) -> Packed:
    """Quantize a weight with searched scales.

    Args:
        weight: Any float, (..., inputs), finite; inputs are a multiple of `group_size`.
        group_size: Weights that share a scale.
        bits: 2, 3, 4, 5, 6 or 8.

    Returns:
        Words (..., inputs * bits / 32) uint32, scales and biases (..., inputs / group_size) bfloat16, evaluated.
    """
    rows = _numbers(weight.reshape(-1, group_size))
    num_groups, block = rows.shape[0], _BLOCK_WEIGHTS // group_size
    words = np.empty((num_groups, group_size * bits // 32), np.uint32)
    scales, biases = np.empty(num_groups, np.float32), np.empty(num_groups, np.float32)
    for start in range(0, num_groups, block):
        part = slice(start, start + block)
        words[part], scales[part], biases[part] = _quantize_block(rows[part], bits=bits)
    shape = (*weight.shape[:-1], -1)
    packed = Packed(
        weight=mx.array(words).reshape(shape),
        scales=mx.array(scales).astype(mx.bfloat16).reshape(shape),
        biases=mx.array(biases).astype(mx.bfloat16).reshape(shape),
    )
    mx.eval(packed.weight, packed.scales, packed.biases)
    return packed


def search_groups(columns: Floats, *, bits: int) -> tuple[Floats, Floats]:
    """Search scale and bias of groups that lie in columns.

    Args:
        columns: Weights (group size, groups), finite.
        bits: 2, 3, 4, 5, 6 or 8.

    Returns:
        Scales and biases (groups,), on the grid of bfloat16.
    """
    count, block = columns.shape[1], max(2, _BLOCK_WEIGHTS // columns.shape[0])
    scales, biases = np.empty(count, np.float32), np.empty(count, np.float32)
    for start in range(0, count, block):
        part = slice(start, min(start + block, count))
        own = columns[:, part]
        search = _searched(own.copy() if own.shape[1] > 1 else np.repeat(own, 2, axis=1), bits=bits)
        here = slice(own.shape[1])
        scales[part], biases[part] = search.scale[here], search.bias[here]
    return scales, biases


def numbers_of(matrix: mx.array) -> Floats:
    """Return a matrix of any float type as float32."""
    return np.array(matrix.astype(mx.float32))


def _numbers(rows: mx.array) -> Rows:
    return np.array(rows.view(mx.uint16) if rows.dtype == mx.bfloat16 else rows, copy=False)


def _quantize_block(rows: Rows, *, bits: int) -> tuple[NDArray[np.uint32], Floats, Floats]:
    search = _searched(_columns(rows), bits=bits)
    here = slice(rows.shape[0])
    return pack_codes(search.codes(), bits=bits)[here], search.scale[here], search.bias[here]


def _searched(columns: Floats, *, bits: int) -> _Search:
    """Search in columns (group size, groups >= 2), which are overwritten."""
    search = _Search(columns, bits=bits)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # groups of equal weights: never kept
        search.try_pair(*search.mlx_pair())
        if bits == 8:
            _search_wide(search, _SPANS[bits])
        else:
            _search_narrow(search, _SPANS[bits], _STEPS[bits])
    return search


def _columns(rows: Rows) -> Floats:
    """Copy to (group size, groups); a lone group is doubled, as numpy adds up a single column in another order."""
    columns = np.empty((rows.shape[1], max(2, rows.shape[0])), np.float32)
    if rows.dtype == np.uint16:  # bfloat16
        np.left_shift(rows.T, 16, out=columns.view(np.uint32), dtype=np.uint32)
    else:
        columns[:] = rows.T
    return columns


def _search_narrow(search: _Search, spans: tuple[float, ...], steps: tuple[float, ...]) -> None:
    search.error -= search.spread * _FIT_NOISE  # a fit that only seems better does not replace mx.quantize's pair
    for span in spans:
        search.fit_pair(*search.spread_pair(span))
    search.fit_pair(search.scale, search.bias)
    scale, centre = search.scale.copy(), search.bias + search.scale * np.float32(search.top / 2)
    for step in steps:
        search.fit_pair(scale * np.float32(step), centre - scale * np.float32(step * search.top / 2))
    search.fit_pair(search.scale, search.bias)


def _search_wide(search: _Search, spans: tuple[float, ...]) -> None:
    for sign in (1.0, -1.0):
        for span in spans:
            search.try_pair(*search.spread_pair(span, sign=sign))


class _Search:
    """The best scale and bias so far, one per column of `weight`, with their squared error.

    Codes are kept about their middle (-2**(bits - 1) is code 0): sums of small numbers lose less in float32.
    """

    def __init__(self, weight: Floats, *, bits: int) -> None:
        self.half = np.float32(2 ** (bits - 1))
        self.top = np.float32(2**bits - 1)
        self.count = np.float32(weight.shape[0])
        self.low, self.high = weight.min(axis=0), weight.max(axis=0)
        self.mean = _sums(weight) / self.count
        self.weight = np.subtract(weight, self.mean, out=weight)  # about the mean: (group size, groups)
        self._exact, self._codes = np.empty_like(weight), np.empty_like(weight)
        self.spread = _sums(np.square(self.weight, out=self._exact))
        num_groups = weight.shape[1]
        self.error = np.full(num_groups, np.inf, np.float32)
        self.scale, self.bias = np.ones(num_groups, np.float32), np.zeros(num_groups, np.float32)

    def spread_pair(self, span: float, *, sign: float = 1.0) -> tuple[Floats, Floats]:
        """Return scale and bias that spread the codes over a share of the range, upwards or downwards."""
        half_range = (self.high - self.low) * np.float32(0.5 * span)
        scale = np.maximum(half_range * (np.float32(2.0) / self.top), _LEAST_SCALE)
        return np.float32(sign) * scale, (self.low + self.high) * np.float32(0.5) - np.float32(sign) * half_range

    def mlx_pair(self) -> tuple[Floats, Floats]:
        """Return what `mx.quantize` stores (Source: mlx 0.32.4 affine_quantize)."""
        scale = np.maximum((self.high - self.low) / self.top, _MLX_EPSILON)
        is_low_larger = np.abs(self.low) > np.abs(self.high)
        scale = np.where(is_low_larger, scale, -scale)
        edge = np.where(is_low_larger, self.low, self.high)
        zero_code = np.rint(edge / scale)
        has_zero = zero_code != 0
        scale = np.where(has_zero, edge / np.where(has_zero, zero_code, np.float32(1)), scale)
        return scale, np.where(has_zero, edge, np.float32(0))

    def try_pair(self, scale: Floats, bias: Floats) -> None:
        """Measure a pair on the stored grid with its best codes."""
        scale, bias = _stored(scale), _stored(bias)
        self._code(scale, bias)
        np.subtract(self._codes, self._exact, out=self._exact)
        self._keep(scale, bias, _sums(np.square(self._exact, out=self._exact)) * np.square(scale))

    def fit_pair(self, scale: Floats, bias: Floats) -> None:
        """Take the codes of a pair, and measure the pair that fits these codes best.

        The error is of unchanged codes; choosing them anew can only lower it.
        """
        codes, spare = self._code(scale, bias), self._exact
        mean_code = _sums(codes) / self.count
        code_spread = _sums(np.square(codes, out=spare)) - self.count * np.square(mean_code)
        shared = _sums(np.multiply(codes, self.weight, out=spare))
        scale = _stored(shared / code_spread)  # not a number where all codes are equal; such a pair is never kept
        wanted = self.mean - scale * (mean_code + self.half)
        bias = _stored(wanted)
        error = self.spread - scale * (2 * shared - scale * code_spread)
        self._keep(scale, bias, error + self.count * np.square(wanted - bias))

    def codes(self) -> NDArray[np.uint8]:
        """Return the codes of the best pairs, from 0 on."""
        codes = self._code(self.scale, self.bias)
        return np.add(codes, self.half, out=codes).astype(np.uint8)

    def _code(self, scale: Floats, bias: Floats) -> Floats:
        """Fill the exact codes and the whole ones, and return the latter."""
        inverse = 1 / scale
        np.multiply(self.weight, inverse, out=self._exact)
        np.subtract(self._exact, (bias - self.mean) * inverse + self.half, out=self._exact)
        np.rint(self._exact, out=self._codes)
        return np.clip(self._codes, -self.half, self.top - self.half, out=self._codes)

    def _keep(self, scale: Floats, bias: Floats, error: Floats) -> None:
        is_better = error < self.error
        np.copyto(self.error, error, where=is_better)
        np.copyto(self.scale, scale, where=is_better)
        np.copyto(self.bias, bias, where=is_better)


def _stored(numbers: Floats) -> Floats:
    """Round to the nearest bfloat16, ties to even."""
    bits = numbers.view(np.uint32)
    odd = (bits >> 16) & np.uint32(1)
    return ((bits + odd + np.uint32(0x7FFF)) & np.uint32(0xFFFF0000)).view(np.float32)


def _sums(columns: Floats) -> Floats:
    sums: Floats = np.add.reduce(columns, axis=0)
    return sums
