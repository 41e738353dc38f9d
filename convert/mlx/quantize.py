"""Turn rows of one weight into the arrays an MLX folder stores.

In: rows in the source's float type, and a format. Out: arrays by suffix: `weight` alone, or packed `weight` with
`scales` and (affine) `biases`. Rows are independent, so a tensor done in pieces has the same bytes as one done whole.
"""

from __future__ import annotations

import mlx.core as mx
import numpy as np

from convert.mlx.affine import quantize_affine
from edge.plan.recipes import Format

STORED_FLOAT = mx.bfloat16  # the compute type; scales of another half type would promote activations to float32


def quantize_rows(rows: mx.array, setting: Format, *, is_searched: bool) -> dict[str, mx.array]:
    """Pack rows.

    Args:
        rows: Any float, (R, ..., inputs).
        setting: The format; None keeps bfloat16.
        is_searched: Whether affine scales are searched; otherwise `mx.quantize` as it is.

    Returns:
        Part name (`weight`, `scales`, `biases`) -> array, evaluated; bfloat16, uint32 or uint8.
    """
    if setting is None:
        parts = {"weight": rows.astype(STORED_FLOAT)}
    elif setting.mode == "affine" and is_searched:
        packed = quantize_affine(rows, group_size=setting.group_size, bits=setting.bits)
        parts = {"weight": packed.weight, "scales": packed.scales, "biases": packed.biases}
    else:
        names = ("weight", "scales", "biases")
        arrays = mx.quantize(
            rows.astype(STORED_FLOAT), group_size=setting.group_size, bits=setting.bits, mode=setting.mode
        )
        parts = dict(zip(names, arrays, strict=False))  # the float modes have no biases
    mx.eval(list(parts.values()))
    return parts


def array_bytes(array: mx.array) -> memoryview:
    """Return the bytes of an evaluated array as a file stores them, without a copy where MLX allows it."""
    bits = array.view(mx.uint16) if array.dtype == mx.bfloat16 else array
    return np.ascontiguousarray(np.array(bits, copy=False)).reshape(-1).view(np.uint8).data
