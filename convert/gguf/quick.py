"""Encode Q4_K, Q5_K and Q6_K several times faster than `libgguf`, with the same bytes; needs the extra `quick` (numba).

The search over 20 steps of a block of 32 values is a chain of additions, which a processor cannot overlap. Here 16
blocks go side by side, each with its additions in llama.cpp's order, so that every rounding is the same.
Source of the algorithm: ggml's `make_qkx2_quants`, `make_qx_quants` and the rows around them; blocks with a scale of
zero, where codes come from the search itself, are left to `libgguf`.
"""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from edge.checkpoint.ggml.types import BlockType

Floats = NDArray[np.float32]

SUPER, GROUPS, GROUP = 256, 8, 32
# type -> most code, first step, number of steps of the search
SEARCHES = {"Q4_K": (15, -1.0, 20), "Q5_K": (31, -0.5, 15)}
has_quick = find_spec("numba") is not None


def can_encode(kind: BlockType) -> bool:
    """Tell whether there is a quick way for a type."""
    return has_quick and (kind.name in SEARCHES or kind.name == "Q6_K")


def encode_quickly(rows: Floats, kind: BlockType) -> NDArray[np.uint8]:
    """Encode rows of a type that `can_encode` names.

    Args:
        rows: (rows, values) float32, contiguous.
        kind: The type.

    Returns:
        Blocks, (blocks, bytes of a block) uint8.
    """
    return _encode_q6(rows, kind) if kind.name == "Q6_K" else _encode_q4_or_q5(rows, kind)


def _encode_q4_or_q5(rows: Floats, kind: BlockType) -> NDArray[np.uint8]:
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


def _encode_q6(rows: Floats, kind: BlockType) -> NDArray[np.uint8]:
    from convert.gguf.quick_search import search_sixteens

    values = rows.reshape(-1, 16, 16)
    scales = search_sixteens(values.reshape(-1, 16)).reshape(-1, 16)
    largest = scales[np.arange(len(scales)), np.abs(scales).argmax(axis=1)]
    is_tiny = np.abs(largest) < np.float32(1e-15)
    inverse = np.float32(-128) / np.where(is_tiny, np.float32(1), largest)
    steps = (np.float32(1) / inverse).astype(np.float16)
    scale_codes = np.minimum(np.rint(inverse[:, None] * scales), np.float32(127)).astype(np.float32)
    factors = steps.astype(np.float32)[:, None] * scale_codes
    safe = np.where(factors == 0, np.float32(1), factors)
    codes = (np.clip(np.rint(values / safe[:, :, None]), -32, 31) + 32).astype(np.uint8)
    quarters = codes.reshape(-1, 2, 4, GROUP)
    low, high = quarters & 15, quarters >> 4
    blocks = np.empty((len(values), kind.block_bytes), np.uint8)
    blocks[:, :128] = (low[:, :, :2] | low[:, :, 2:] << 4).reshape(-1, 128)
    blocks[:, 128:192] = (high[:, :, 0] | high[:, :, 1] << 2 | high[:, :, 2] << 4 | high[:, :, 3] << 6).reshape(-1, 64)
    blocks[:, 192:208] = scale_codes.astype(np.int8).view(np.uint8)
    blocks[:, 208:210] = steps.view(np.uint8).reshape(-1, 2)
    if (left := np.flatnonzero((factors == 0).any(axis=1) | is_tiny)).size:
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
