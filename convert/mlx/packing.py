"""Pack integer codes into MLX's words: little-endian bit streams, code k of a row at bits `bits * k`.

In: codes as whole float32 numbers, one column per group. Out: uint32 rows as `mx.quantize` returns them.
Sums of a few codes stay below 2**24, so float32 arithmetic, which every device is quick at, is exact.
"""

from __future__ import annotations

import mlx.core as mx

# bits -> codes that fill whole bytes; 5 bits take two halves of 4 codes
_CODES_PER_UNIT = {2: 4, 3: 8, 4: 2, 6: 4, 8: 1}


def pack_codes(codes: mx.array, *, bits: int) -> mx.array:
    """Pack codes.

    Args:
        codes: Whole numbers 0 to 2**bits - 1, float32 (group size, groups).
        bits: 2, 3, 4, 5, 6 or 8.

    Returns:
        Words (groups, group size * bits / 32) uint32.
    """
    if bits == 5:
        units = _pack_fives(codes)
    elif bits in (3, 6):
        joined = _join(codes, bits=bits, count=_CODES_PER_UNIT[bits]).astype(mx.uint32)
        units = _bytes_of(joined)[..., :3]  # (groups, units, 3): the fourth byte of 24 bits is empty
    else:
        units = _join(codes, bits=bits, count=_CODES_PER_UNIT[bits]).astype(mx.uint8)
    return mx.contiguous(units.reshape(codes.shape[1], -1)).view(mx.uint32)


def _join(codes: mx.array, *, bits: int, count: int) -> mx.array:
    """Join `count` codes to one number: (group size, groups) -> (groups, group size / count)."""
    if count == 1:
        return codes.T
    weights = mx.array([float(2 ** (bits * index)) for index in range(count)])[None, :, None]
    return (codes.reshape(-1, count, codes.shape[1]) * weights).sum(axis=1).T


def _bytes_of(numbers: mx.array) -> mx.array:
    """Split uint32 numbers (groups, units) into bytes (groups, units, 4)."""
    return mx.contiguous(numbers)[..., None].view(mx.uint8)


def _pack_fives(codes: mx.array) -> mx.array:
    """Pack eight 5-bit codes into five bytes: (group size, groups) -> (groups, group size / 8, 5) uint8."""
    halves = _join(codes, bits=5, count=4).astype(mx.uint32)  # 20 bits each
    low, high = halves[:, 0::2], halves[:, 1::2]
    first = _bytes_of(mx.bitwise_or(low, mx.left_shift(high, mx.array(20, mx.uint32))))
    last = mx.right_shift(high, mx.array(12, mx.uint32)).astype(mx.uint8)[..., None]
    return mx.concatenate([first, last], axis=-1)
