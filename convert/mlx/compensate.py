"""Quantize with error compensation (GPTQ): the error of each column is made good by those that follow it.

In: rows of a matrix, the second moments of its inputs, a format. Out: codes, scales and biases of MLX's affine form,
found to lose least of the *outputs* and not of the weights.

With H = (I + U) D (I + U)^T, U strictly upper, the loss trace(E H E^T) is least when column k is rounded after
(W - Q)[:, :k] @ U[:k, k] was added to it: what the columns before it lost. Columns stay in order, a group's scale and
bias are searched by `affine` on its weights as they are then. Rows are independent, so that a matrix done in pieces has
the same bytes as one done whole. Method: Frantar et al., GPTQ, 2022, in the form of Chee et al., QuIP, 2023.
"""

from __future__ import annotations

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from convert.mlx.affine import Floats, Packed, numbers_of, search_groups
from convert.mlx.packing import pack_codes

_MOST_DAMPING = 10.0


def feedback_of(moments: Floats) -> Floats:
    """Return U of the factors (I + U) D (I + U)^T of second moments, strictly upper, (in, in).

    Args:
        moments: Symmetric and damped, (in, in); is not kept.
    """
    matrix, damping = moments, 0.0
    while True:
        try:
            # Turned about, the lower factor becomes the upper one that is wanted.
            upper = np.linalg.cholesky(matrix[::-1, ::-1])[::-1, ::-1]
            break
        except np.linalg.LinAlgError:  # rounding: nearly singular in float32
            damping = 10 * damping or 0.01
            assert damping <= _MOST_DAMPING, "moments are not positive"
            matrix = moments + np.eye(len(moments), dtype=np.float32) * np.float32(
                damping * moments.trace() / len(moments)
            )
    feedback: Floats = np.ascontiguousarray(upper / np.diagonal(upper)[None, :])
    feedback[np.diag_indices_from(feedback)] = 0
    return feedback


def quantize_compensated(weight: mx.array, feedback: Floats, *, group_size: int, bits: int) -> Packed:
    """Quantize a matrix.

    Args:
        weight: Any float, (R, in), finite; inputs are a multiple of `group_size`.
        feedback: Of its inputs' moments, (in, in).
        group_size: Weights that share a scale.
        bits: 2, 3, 4, 5, 6 or 8.

    Returns:
        As `quantize_affine`.
    """
    columns = np.ascontiguousarray(numbers_of(weight).T)  # (in, R)
    width, num_rows = columns.shape
    num_groups = width // group_size
    errors = np.zeros_like(columns)
    codes = np.empty((width, num_rows), np.uint8)
    scales, biases = np.empty((num_groups, num_rows), np.float32), np.empty((num_groups, num_rows), np.float32)
    for index in range(num_groups):
        group = slice(index * group_size, (index + 1) * group_size)
        wanted = columns[group] + feedback[: group.start, group].T @ errors[: group.start]
        scales[index], biases[index] = search_groups(wanted, bits=bits)
        _round_group(
            columns[group],
            wanted,
            feedback[group, group],
            scales[index],
            biases[index],
            codes=codes[group],
            errors=errors[group],
            top=2**bits - 1,
        )
    return _pack(codes, scales, biases, group_size=group_size, bits=bits)


def _round_group(
    weights: Floats,
    wanted: Floats,
    feedback: Floats,
    scale: Floats,
    bias: Floats,
    *,
    codes: NDArray[np.uint8],
    errors: Floats,
    top: int,
) -> None:
    """Round the columns of a group one after another; fills `codes` and `errors`."""
    inverse = 1 / scale
    for column in range(len(weights)):
        target = wanted[column]
        code = np.clip(np.rint((target - bias) * inverse), 0, top)
        codes[column] = code
        errors[column] = weights[column] - (code * scale + bias)
        if column + 1 < len(weights):
            wanted[column + 1 :] += np.outer(feedback[column, column + 1 :], errors[column])


def _pack(codes: NDArray[np.uint8], scales: Floats, biases: Floats, *, group_size: int, bits: int) -> Packed:
    num_groups, num_rows = scales.shape
    by_group = codes.reshape(num_groups, group_size, num_rows).transpose(1, 2, 0)  # (group size, R, groups)
    words = pack_codes(by_group.reshape(group_size, -1), bits=bits)
    packed = Packed(
        weight=mx.array(words).reshape(num_rows, -1),
        scales=mx.array(scales.T).astype(mx.bfloat16),
        biases=mx.array(biases.T).astype(mx.bfloat16),
    )
    mx.eval(packed.weight, packed.scales, packed.biases)
    return packed
