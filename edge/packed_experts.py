"""Multiply many rows by packed experts, unpacking the experts first: for MLX's CUDA backend.

There (0.32.4) the product with chosen packed matrices takes one row at a time, however many rows an expert has, so a
prompt reads each matrix some 60 times. A product with plain matrices takes an expert's rows together. Metal has such a
kernel for packed ones too.
"""

from __future__ import annotations

import math

import mlx.core as mx

from edge.config import LayerQuantization

UNPACK_FROM_PAIRS = 2048
"""From this many (token, expert) pairs on: unpacking costs the same for one pair and for all (measured on an H200 with
128 experts: at 1,024 pairs 1.7 times as long as packed ones, at 2,048 0.83 times)."""
UNPACKED_BYTES = 1 << 28
"""Plain matrices that are made at a time: all experts, and as many of their outputs as fit."""
OUTPUTS_STEP = 64
"""A cut has a multiple of so many outputs: kernels like it."""


def is_packed_slow() -> bool:
    """Tell whether MLX takes one row at a time for packed experts here."""
    return bool(mx.cuda.is_available()) and mx.default_device().type == mx.DeviceType.gpu


def multiply_unpacked(
    rows: mx.array,
    weight: mx.array,
    scales: mx.array,
    biases: mx.array | None,
    experts: mx.array,
    *,
    setting: LayerQuantization,
) -> mx.array:
    """Multiply rows by the matrices of their experts.

    Args:
        rows: (R, 1, I), floats.
        weight: Packed, (E, O, ...), with `scales`, and `biases` in the affine mode.
        scales: (E, O, I / group_size).
        biases: The same, or None.
        experts: (R,) unsigned, going up.
        setting: How they are packed.

    Returns:
        (R, 1, O).
    """
    num_experts, num_outputs, _ = weight.shape
    bytes_per_output = num_experts * rows.shape[-1] * rows.itemsize
    num_cuts = math.ceil(num_outputs * bytes_per_output / UNPACKED_BYTES)
    size = math.ceil(num_outputs / num_cuts / OUTPUTS_STEP) * OUTPUTS_STEP
    cuts = []
    for start in range(0, num_outputs, size):
        part = slice(start, start + size)
        plain = mx.dequantize(
            weight[:, part],
            scales[:, part],
            None if biases is None else biases[:, part],
            group_size=setting.group_size,
            bits=setting.bits,
            mode=setting.mode,
            dtype=rows.dtype,
        )
        cuts.append(mx.gather_mm(rows, plain.swapaxes(-1, -2), rhs_indices=experts, sorted_indices=True))
    return cuts[0] if len(cuts) == 1 else mx.concatenate(cuts, axis=-1)
