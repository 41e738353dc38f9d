"""Search scales and biases of MLX's affine form by mean-square error: same files as `mx.quantize`, less error.

A group of weights w is stored as codes q, one scale s and one bias b; the weight read back is q * s + b. `mx.quantize`
spans the group's range and rounds s and b to the stored type afterwards, with the codes already chosen. Here s and b
are on the grid of the stored type before codes are chosen, and several ranges are tried:

* up to 6 bits: ranges cut at both ends; for the codes of each, the best s and b by least squares; steps around the best
* 8 bits: the range as it is, with neighbours on the coarse grid of s and b, from both ends of the range

`mx.quantize`'s own pair is among the candidates, so that no group becomes worse. Groups lie in columns, and the work
is done in blocks that stay in a processor's cache; all of it is MLX, so that a Mac's GPU does it.
"""

from __future__ import annotations

from dataclasses import dataclass

import mlx.core as mx

from convert.mlx.packing import pack_codes

# bits -> share of a group's range that the codes span, and factors on the best scale, tried afterwards about the same
# centre. Twice as many of both lower the error of trained weights by another 0.2 % only.
_SPANS = {
    2: (0.9, 0.7),
    3: (0.95, 0.8),
    4: (1.0, 0.93, 0.86),
    5: (0.99, 0.95),
    6: (1.0, 0.98),
    8: (0.995, 1.0, 1.005),
}
_STEPS = {2: (0.95, 1.05), 3: (0.95, 1.05), 4: (0.97, 1.03), 5: (0.985, 1.015), 6: (0.992, 1.008)}
_MLX_EPSILON = 1e-7  # smallest scale of mx.quantize
_LEAST_SCALE = 1e-20
_BLOCK_WEIGHTS_CPU = 2**18  # float32 blocks of 1 MB
_BLOCK_WEIGHTS_GPU = 2**24


@dataclass(frozen=True, slots=True)
class Packed:
    """A packed weight as MLX stores it."""

    weight: mx.array
    scales: mx.array
    biases: mx.array


def quantize_affine(weight: mx.array, *, group_size: int, bits: int, dtype: mx.Dtype = mx.bfloat16) -> Packed:
    """Quantize a weight with searched scales.

    Args:
        weight: Any float, (..., inputs), finite; inputs are a multiple of `group_size`.
        group_size: Weights that share a scale.
        bits: 2, 3, 4, 5, 6 or 8.
        dtype: Type that scales and biases are stored in.

    Returns:
        Words (..., inputs * bits / 32) uint32, scales and biases (..., inputs / group_size), evaluated.
    """
    rows = weight.reshape(-1, group_size)
    on_gpu = mx.default_device().type == mx.gpu
    block = max(1, (_BLOCK_WEIGHTS_GPU if on_gpu else _BLOCK_WEIGHTS_CPU) // group_size)
    parts = [
        _quantize_block(rows[start : start + block], bits=bits, dtype=dtype) for start in range(0, rows.shape[0], block)
    ]
    words, scales, biases = (mx.concatenate(list(column)) for column in zip(*parts, strict=True))
    lead, groups = weight.shape[:-1], weight.shape[-1] // group_size
    packed = Packed(
        weight=words.reshape(*lead, weight.shape[-1] * bits // 32),
        scales=scales.reshape(*lead, groups),
        biases=biases.reshape(*lead, groups),
    )
    mx.eval(packed.weight, packed.scales, packed.biases)
    return packed


def _quantize_block(rows: mx.array, *, bits: int, dtype: mx.Dtype) -> tuple[mx.array, mx.array, mx.array]:
    search = _Search(mx.contiguous(rows.astype(mx.float32).T), bits=bits, dtype=dtype)
    search.try_pair(*search.mlx_pair())
    if bits == 8:
        _search_wide(search, _SPANS[bits])
    else:
        _search_narrow(search, _SPANS[bits], _STEPS[bits])
    words = pack_codes(search.codes(), bits=bits)
    scales, biases = search.scale.astype(dtype), search.bias.astype(dtype)
    mx.eval(words, scales, biases)
    return words, scales, biases


def _search_narrow(search: _Search, spans: tuple[float, ...], steps: tuple[float, ...]) -> None:
    for span in spans:
        search.fit_pair(*search.spread_pair(span))
    search.fit_pair(search.scale, search.bias)
    search.settle()
    scale, centre = search.scale, search.bias + search.scale * (search.top / 2)
    for step in steps:
        search.fit_pair(scale * step, centre - scale * (step * search.top / 2))
    search.fit_pair(search.scale, search.bias)
    search.settle()


def _search_wide(search: _Search, spans: tuple[float, ...]) -> None:
    for sign in (1.0, -1.0):
        for span in spans:
            search.try_pair(*search.spread_pair(span, sign=sign))
        search.settle()


class _Search:
    """The best scale and bias so far, one per column of `weight`, with their squared error.

    Codes are kept about their middle (-2**(bits - 1) is code 0): sums of small numbers lose less in float32.
    """

    def __init__(self, weight: mx.array, *, bits: int, dtype: mx.Dtype) -> None:
        self.weight = weight  # (group size, groups) float32
        self.dtype = dtype
        self.half = 2 ** (bits - 1)
        self.top = 2**bits - 1
        self.low, self.high = weight.min(axis=0), weight.max(axis=0)
        self.mean = weight.mean(axis=0)
        self.spread = mx.square(weight - self.mean).sum(axis=0)
        num_groups = weight.shape[1]
        self.error = mx.full((num_groups,), float("inf"))
        self.scale, self.bias = mx.ones((num_groups,)), mx.zeros((num_groups,))

    def spread_pair(self, span: float, *, sign: float = 1.0) -> tuple[mx.array, mx.array]:
        """Return scale and bias that spread the codes over a share of the range, upwards or downwards."""
        half_range = (self.high - self.low) * (0.5 * span)
        scale = mx.maximum(half_range * (2.0 / self.top), _LEAST_SCALE)
        return sign * scale, (self.low + self.high) * 0.5 - sign * half_range

    def mlx_pair(self) -> tuple[mx.array, mx.array]:
        """Return what `mx.quantize` stores (Source: mlx 0.32.4 affine_quantize)."""
        scale = mx.maximum((self.high - self.low) / self.top, _MLX_EPSILON)
        is_low_larger = mx.abs(self.low) > mx.abs(self.high)
        scale = mx.where(is_low_larger, scale, -scale)
        edge = mx.where(is_low_larger, self.low, self.high)
        zero_code = mx.round(edge / scale)
        has_zero = zero_code != 0
        return mx.where(has_zero, edge / mx.where(has_zero, zero_code, 1.0), scale), mx.where(has_zero, edge, 0.0)

    def try_pair(self, scale: mx.array, bias: mx.array) -> None:
        """Measure a pair on the stored grid with its best codes."""
        scale, bias = self._stored(scale), self._stored(bias)
        codes, exact = self._code(scale, bias)
        self._keep(scale, bias, mx.square(codes - exact).sum(axis=0) * mx.square(scale))

    def fit_pair(self, scale: mx.array, bias: mx.array) -> None:
        """Take the codes of a pair, and measure the pair that fits these codes best.

        The error is of unchanged codes; choosing them anew can only lower it.
        """
        codes, _ = self._code(scale, bias)
        count = codes.shape[0]
        mean_code = codes.sum(axis=0) / count
        code_spread = mx.square(codes).sum(axis=0) - count * mx.square(mean_code)
        shared = (codes * self.weight).sum(axis=0) - count * mean_code * self.mean
        has_spread = code_spread > 0.5  # else all codes are equal and any scale fits
        scale = self._stored(mx.where(has_spread, shared / mx.where(has_spread, code_spread, 1.0), scale))
        wanted = self.mean - scale * (mean_code + self.half)
        bias = self._stored(wanted)
        error = self.spread - 2 * scale * shared + mx.square(scale) * code_spread + count * mx.square(wanted - bias)
        self._keep(scale, bias, mx.maximum(error, 0.0))

    def settle(self) -> None:
        """Compute what was asked for so far; without this the graph, and the memory it holds, would grow."""
        mx.eval(self.error, self.scale, self.bias)

    def codes(self) -> mx.array:
        """Return the codes of the best pairs, from 0 on."""
        codes, _ = self._code(self.scale, self.bias)
        return mx.add(codes, self.half)

    def _code(self, scale: mx.array, bias: mx.array) -> tuple[mx.array, mx.array]:
        inverse = 1.0 / scale
        exact = self.weight * inverse - (bias * inverse + self.half)
        return mx.clip(mx.round(exact), -self.half, self.top - self.half), exact

    def _stored(self, numbers: mx.array) -> mx.array:
        return numbers.astype(self.dtype).astype(mx.float32)

    def _keep(self, scale: mx.array, bias: mx.array, error: mx.array) -> None:
        is_better = error < self.error
        self.error = mx.where(is_better, error, self.error)
        self.scale = mx.where(is_better, scale, self.scale)
        self.bias = mx.where(is_better, bias, self.bias)
