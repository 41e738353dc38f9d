"""Resample pictures as the reference does: bicubic with antialias on uint8, to the bit.

In: planar uint8 pixels. Out: planar uint8 pixels of another size.
Source: pytorch@v2.13 aten/src/ATen/native/cpu/UpSampleKernel.cpp (int16 weights, width before height, uint8 between),
differs in: each pass is a float64 matrix product over bands of the output, which holds these integers exactly.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from edge.prompt.types import Pixels
from edge.records import dataclass

# Outputs per matrix product: a band reads scale x BAND + filter width inputs, so small bands waste least.
BAND = 32
# Rows handled at once, in float64 values: keeps the working set of a pass in the cache.
CHUNK_VALUES = 1 << 15
CUBIC_A = -0.5
MAX_WEIGHT_BITS = 22
INT16_LIMIT = 1 << 15


@dataclass(frozen=True, slots=True)
class _Filter:
    """Weights of one axis: output i reads `taps` inputs from starts[i]; the sum is shifted right by `bits`."""

    starts: np.ndarray[tuple[int], np.dtype[np.int64]]
    weights: np.ndarray[tuple[int, int], np.dtype[np.float64]]
    bits: int


def resize_bicubic(pixels: Pixels, *, height: int, width: int) -> Pixels:
    """Resample to another size.

    Args:
        pixels: (..., H, W) uint8, planes first.
        height: Rows wanted, at least 1.
        width: Columns wanted, at least 1.

    Returns:
        (..., height, width) uint8, equal to torch's interpolate(mode="bicubic", antialias=True) on uint8.
    """
    planes = pixels.reshape(-1, *pixels.shape[-2:])
    if planes.shape[2] != width:
        planes = _resize_width(planes, _make_filter(planes.shape[2], width))
    if planes.shape[1] != height:
        planes = _resize_height(planes, _make_filter(planes.shape[1], height))
    return np.ascontiguousarray(planes).reshape(*pixels.shape[:-2], height, width)


def _resize_width(planes: Pixels, axis: _Filter) -> Pixels:
    rows = planes.reshape(-1, planes.shape[2])
    out = np.empty((rows.shape[0], len(axis.starts)), np.uint8)
    for first in range(0, len(axis.starts), BAND):
        start, matrix = _band(axis, first)
        step = max(1, CHUNK_VALUES // len(matrix))
        for top in range(0, len(rows), step):
            block = rows[top : top + step, start : start + len(matrix)].astype(np.float64)
            out[top : top + step, first : first + BAND] = _shift(block @ matrix, axis.bits)
    return out.reshape(*planes.shape[:2], -1)


def _resize_height(planes: Pixels, axis: _Filter) -> Pixels:
    out = np.empty((planes.shape[0], len(axis.starts), planes.shape[2]), np.uint8)
    for first in range(0, len(axis.starts), BAND):
        start, matrix = _band(axis, first)
        weights = np.ascontiguousarray(matrix.T)
        for plane in range(len(planes)):
            block = planes[plane, start : start + len(matrix)].astype(np.float64)
            out[plane, first : first + BAND] = _shift(weights @ block, axis.bits)
    return out


def _shift(sums: np.ndarray[tuple[int, int], np.dtype[np.float64]], bits: int) -> Pixels:
    """Round, shift right and clamp as the kernel does on int32."""
    rounded = (sums.astype(np.int32) + (1 << (bits - 1))) >> bits
    return np.clip(rounded, 0, 255, out=rounded).astype(np.uint8)


def _band(axis: _Filter, first: int) -> tuple[int, np.ndarray[tuple[int, int], np.dtype[np.float64]]]:
    """Lay the weights of BAND outputs into one matrix (inputs read, outputs)."""
    starts = axis.starts[first : first + BAND]
    weights = axis.weights[first : first + BAND]
    start, taps = int(starts[0]), weights.shape[1]
    # Weights past an output's window are zero, so windows may be laid over the end and cut off.
    matrix = np.zeros((int(starts[-1]) - start + taps, len(starts)), np.float64)
    rows = (starts - start)[:, None] + np.arange(taps)
    matrix[rows, np.arange(len(starts))[:, None]] = weights
    used = int(np.flatnonzero(matrix.any(axis=1))[-1]) + 1
    return start, matrix[:used]


@lru_cache(maxsize=64)
def _make_filter(size: int, new_size: int) -> _Filter:
    scale = size / new_size
    stretch = max(scale, 1.0)
    support = 2.0 * stretch
    taps = int(np.ceil(support)) * 2 + 1
    centers = scale * (np.arange(new_size) + 0.5)
    starts = np.maximum((centers - support + 0.5).astype(np.int64), 0)
    counts = np.minimum((centers + support + 0.5).astype(np.int64), size) - starts
    offsets = np.arange(taps)
    weights = _cubic((offsets + starts[:, None] - centers[:, None] + 0.5) * (1.0 / stretch))
    weights = np.where(offsets < counts[:, None], weights, 0.0)
    # Summed in the kernel's order: numpy's pairwise sum rounds differently.
    totals = np.cumsum(weights, axis=1)[:, -1:]
    weights = weights / totals
    bits = _weight_bits(float(weights.max()))
    return _Filter(starts, np.trunc(weights * (1 << bits) + np.where(weights < 0, -0.5, 0.5)), bits)


def _weight_bits(largest: float) -> int:
    bits = 0
    while bits < MAX_WEIGHT_BITS and int(0.5 + largest * (1 << (bits + 1))) < INT16_LIMIT:
        bits += 1
    return bits


def _cubic(x: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    x = np.abs(x)
    near = ((CUBIC_A + 2) * x - (CUBIC_A + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * CUBIC_A
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))
