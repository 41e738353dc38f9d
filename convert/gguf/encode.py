"""Encode float32 rows as the bytes of a GGML type; block types through `libgguf`, which equals llama.cpp bit by bit.

With the extra `quick`, Q4_K, Q5_K and Q6_K take a faster way to the same bytes.
"""

from __future__ import annotations

import libgguf
import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from convert.gguf.quick import can_encode, encode_quickly
from edge.checkpoint.ggml.decode import decode
from edge.checkpoint.ggml.types import BlockType
from edge.errors import WeightError

Floats = NDArray[np.float32]
_SURELY_HELD = 1e5  # by the F16 scales of every type
_MOST_ERROR = 0.5  # of the largest value


def encode_rows(rows: Floats, kind: BlockType, *, importance: Floats | None = None, name: str = "") -> memoryview:
    """Encode rows.

    Args:
        rows: (rows, values) float32.
        kind: Type to write.
        importance: One weight per value of a row, from an importance file; None counts all alike.
        name: The tensor's, for messages.

    Returns:
        The bytes, rows after each other.

    Raises:
        WeightError: A value is beyond the range of F16, which scales of blocks are stored in too.
    """
    match kind.name:
        case "F32":
            return np.ascontiguousarray(rows, "<f4").reshape(-1).data.cast("B")
        case "F16":
            return _half(rows, name).reshape(-1).data.cast("B")
        case "BF16":
            return memoryview(np.array(mx.array(rows).astype(mx.bfloat16).view(mx.uint16)).tobytes())
    rows = np.ascontiguousarray(rows)
    largest = max(float(rows.max(initial=0)), -float(rows.min(initial=0)))
    if importance is None and can_encode(kind) and largest <= _SURELY_HELD:
        with np.errstate(over="ignore", invalid="ignore"):  # blocks of the least floats
            return encode_quickly(rows, kind).reshape(-1).data
    encoded = np.empty(kind.num_bytes(rows.size), np.uint8)
    libgguf.quantize_rows_into_raw(kind.number, rows, encoded, *rows.shape, importance)
    if largest > _SURELY_HELD:
        _check_held(encoded, rows, kind, largest=largest, name=name)
    return encoded.data


def check_finite(rows: Floats, name: str) -> None:
    """Refuse values that no block can hold.

    Raises:
        WeightError: A value is infinite or not a number.
    """
    if not np.isfinite(rows.sum(dtype=np.float64)) and not np.isfinite(rows).all():
        raise WeightError(f"{name}: found values that are infinite or not a number. Choose a sound checkpoint.")


def _check_held(encoded: NDArray[np.uint8], rows: Floats, kind: BlockType, *, largest: float, name: str) -> None:
    """Refuse blocks whose scales went over, and those that a search gave up."""
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.abs(np.asarray(decode(encoded.reshape(len(rows), -1), kind), np.float32) - rows).max()
    if not error <= _MOST_ERROR * largest:
        raise WeightError(f"{name}: found values up to {largest:.3g}, beyond the range of {kind.name}. Choose BF16.")


def _half(rows: Floats, name: str) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):  # refused below
        halves = rows.astype("<f2")
    if not np.isfinite(halves).all():
        raise WeightError(f"{name}: found values beyond the range of F16 (65504). Choose BF16, F32 or a block type.")
    return halves
