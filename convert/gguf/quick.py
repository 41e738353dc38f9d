"""Encode Q4_K and Q5_K several times faster than `libgguf`, with the same bytes; needs the extra `quick` (numba).

The search over 20 steps of a block of 32 values is a chain of additions, which a processor cannot overlap. Here 16
blocks go side by side, each with its additions in llama.cpp's order, so that every rounding is the same.
Source of the algorithm: ggml's `make_qkx2_quants` and `quantize_row_q4_K_ref`; blocks with a scale of zero, where its
codes come from the search itself, are left to `libgguf`.
"""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from edge.weights.ggml_types import BlockType

Floats = NDArray[np.float32]

SUPER, GROUPS, GROUP = 256, 8, 32
# type -> most code, first step, number of steps of the search
SEARCHES = {"Q4_K": (15, -1.0, 20), "Q5_K": (31, -0.5, 15)}
has_quick = find_spec("numba") is not None


def can_encode(kind: BlockType) -> bool:
    """Tell whether there is a quick way for a type."""
    return has_quick and kind.name in SEARCHES


def encode_quickly(rows: Floats, kind: BlockType) -> NDArray[np.uint8]:
    """Encode rows of Q4_K or Q5_K.

    Args:
        rows: (rows, values) float32, contiguous.
        kind: One of `SEARCHES`.

    Returns:
        Blocks, (blocks, bytes of a block) uint8.
    """
    from convert.gguf.quick_search import search_groups

    most, first, num_steps = SEARCHES[kind.name]
    values = rows.reshape(-1, GROUPS, GROUP)
    scales, minima = search_groups(values.reshape(-1, GROUP), most, first, num_steps)
    scales, minima = scales.reshape(-1, GROUPS), minima.reshape(-1, GROUPS)
    steps, scale_codes = _six_bits(scales)
    least, minimum_codes = _six_bits(minima)
    factors = steps.astype(np.float32)[:, None] * scale_codes
    offsets = least.astype(np.float32)[:, None] * minimum_codes
    safe = np.where(factors == 0, np.float32(1), factors)
    codes = np.clip(np.rint((values + offsets[:, :, None]) / safe[:, :, None]), 0, most).astype(np.uint8)
    blocks = np.empty((len(values), kind.block_bytes), np.uint8)
    blocks[:, 0:2] = steps.view(np.uint8).reshape(-1, 2)
    blocks[:, 2:4] = least.view(np.uint8).reshape(-1, 2)
    blocks[:, 4:16] = _pack_scales(scale_codes.astype(np.uint8), minimum_codes.astype(np.uint8))
    _pack_codes(codes, blocks, has_fifth=most == 31)
    if (left := np.flatnonzero((factors == 0).any(axis=1))).size:
        blocks[left] = _by_library(values[left], kind)
    return blocks


def _six_bits(numbers: Floats) -> tuple[NDArray[np.float16], Floats]:
    """Return the float16 step and the 6-bit codes of eight numbers per block."""
    largest = numbers.max(axis=1)
    largest = np.maximum(largest, np.float32(0))
    inverse = np.where(largest > 0, np.float32(63) / np.where(largest > 0, largest, np.float32(1)), np.float32(0))
    codes = np.minimum(np.rint(inverse[:, None] * numbers), np.float32(63)).astype(np.float32)
    return (largest / np.float32(63)).astype(np.float16), codes


def _pack_scales(scales: NDArray[np.uint8], minima: NDArray[np.uint8]) -> NDArray[np.uint8]:
    packed = np.empty((len(scales), 12), np.uint8)
    packed[:, 0:4] = scales[:, :4] | (scales[:, 4:] >> 4) << 6
    packed[:, 4:8] = minima[:, :4] | (minima[:, 4:] >> 4) << 6
    packed[:, 8:12] = (scales[:, 4:] & 15) | (minima[:, 4:] & 15) << 4
    return packed


def _pack_codes(codes: NDArray[np.uint8], blocks: NDArray[np.uint8], *, has_fifth: bool) -> None:
    pairs = (codes & 15).reshape(-1, 4, 2, GROUP)
    blocks[:, -128:] = (pairs[:, :, 0] | pairs[:, :, 1] << 4).reshape(-1, 128)
    if has_fifth:
        blocks[:, 16:48] = np.packbits(codes >> 4, axis=1, bitorder="little")[:, 0]  # group j is bit j


def _by_library(values: Floats, kind: BlockType) -> NDArray[np.uint8]:
    import libgguf

    rows = np.ascontiguousarray(values.reshape(-1, SUPER))
    encoded = np.empty((len(rows), kind.block_bytes), np.uint8)
    libgguf.quantize_rows_into_raw(kind.number, rows, encoded, *rows.shape, None)
    return encoded
