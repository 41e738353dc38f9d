"""Unpack rows of matrices in MLX's packed forms by numpy, to the same float32 values as `mx.dequantize`.

In: codes, scales and biases where they lie. Out: float32, written where the caller says. MLX's wheel for Linux takes
4 to 30 ns a value, since each step of it is an operation over the whole matrix. Here a part at a time stays in the
cache, and eight codes of any width are drawn apart into bytes within one 64-bit word: 1 to 3 ns.
"""

from __future__ import annotations

from functools import cache

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from edge.config import LayerQuantization
from edge.records import dataclass

PART_VALUES = 1 << 17
"""Values that are unpacked at a time."""
PART_BYTES = 8 * PART_VALUES
"""Memory that this takes beside its result at most: an index of a table for each value, which numpy makes."""
_ONES = {"mxfp4": (0x02, 0x7F), "mxfp8": (0x38, 0x7F), "nvfp4": (0x02, 0x38)}
"""The code and the scale that mean 1."""
Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PackedRows:
    """Rows of a packed matrix (O, I), or of several (E, O, I).

    Attributes:
        codes: (..., O, I * bits / 8).
        scales: (..., O, I / group_size), float32 in the affine mode, bytes in others.
        biases: Of the same shape, in the affine mode.
        form: How they are packed.
    """

    codes: Bytes
    scales: Floats | Bytes
    biases: Floats | None
    form: LayerQuantization

    def __getitem__(self, where: int | slice) -> PackedRows:
        """Take some rows, or one of several matrices."""
        biases = None if self.biases is None else self.biases[where]
        return PackedRows(self.codes[where], self.scales[where], biases, self.form)


def packed_rows(weight: mx.array, scales: mx.array, biases: mx.array | None, form: LayerQuantization) -> PackedRows:
    """Look at a packed matrix of MLX, or several; nothing is copied."""
    mx.eval([array for array in (weight, scales, biases) if array is not None])
    codes = np.asarray(weight).view(np.uint8)
    return PackedRows(codes, np.asarray(scales), None if biases is None else np.asarray(biases), form)


def unpack(packed: PackedRows, *, out: Floats) -> None:
    """Unpack rows into (O, I), each in one piece."""
    num_rows, width = out.shape
    step = max(1, PART_VALUES // width)
    for start in range(0, num_rows, step):
        part = slice(start, start + step)
        _unpack_part(packed[part], out[part])


def _unpack_part(packed: PackedRows, out: Floats) -> None:
    groups = out.reshape(len(out), -1, packed.form.group_size)
    if packed.biases is None:  # codes are floats of 4 or 8 bits
        values, factors = _tables(packed.form)
        np.take(values, packed.codes, out=out.view(values.dtype), mode="clip")  # clip: other modes copy first
        groups *= factors[packed.scales][..., None]
    else:
        np.copyto(groups, _apart(packed.codes, packed.form.bits).reshape(groups.shape))
        groups *= packed.scales[..., None]
        groups += packed.biases[..., None]


def _apart(codes: Bytes, bits: int) -> Bytes:
    """Give every code (O, I * bits / 8) a byte: (O, I)."""
    if bits == 8:
        return codes
    eights = codes.reshape(len(codes), -1, bits)  # eight codes lie in `bits` bytes, the first in the lowest bits
    if bits in (2, 4):
        words = eights.view(f"<u{bits}")[..., 0].astype("<u8")
    else:
        words = np.zeros(eights.shape[:2], dtype="<u8")
        in_bytes = words.view(np.uint8).reshape(*eights.shape[:2], 8)
        for index in range(bits):
            in_bytes[..., index] = eights[..., index]
    above = np.empty_like(words)
    for lane in (32, 16, 8):  # two halves of `bits * lane / 8` bits each go to the lower ends of two lanes
        half = bits * lane // 8
        low = sum(((1 << half) - 1) << place for place in range(0, 64, 2 * lane))
        np.left_shift(words, np.uint64(lane - half), out=above)
        above &= np.uint64(low << lane)
        words &= np.uint64(low)
        words |= above
    return words.view(np.uint8)


@cache
def _tables(form: LayerQuantization) -> tuple[NDArray[np.generic], Floats]:
    """Return what MLX makes of every byte of codes, as one item each, and of every scale."""
    one_code, one_scale = _ONES[form.mode]
    every = np.arange(256, dtype=np.uint8)

    def unpacked(first: Bytes, scales: Bytes) -> Floats:
        codes = np.zeros((256, form.group_size * form.bits // 8), dtype=np.uint8)
        codes[:, 0] = first
        options = (form.group_size, form.bits, form.mode)
        matrix = mx.dequantize(
            mx.array(codes.view(np.uint32)), mx.array(scales[:, None]), None, *options, dtype=mx.float32
        )
        return np.array(matrix)

    values = np.ascontiguousarray(unpacked(every, np.full_like(every, one_scale))[:, : 8 // form.bits])
    item = np.dtype(np.float32) if form.bits == 8 else np.dtype(np.complex64)  # two floats; nothing is computed
    return values.view(item).reshape(-1), unpacked(np.full_like(every, one_code), every)[:, 0].copy()
