"""Multiply a prompt's rows by packed matrices: on Linux CPUs unpacked and multiplied by numpy, elsewhere by MLX.

In: float32 rows, perhaps not evaluated, and matrices in MLX's packed forms. Out: their products. MLX's product on a CPU
unpacks a matrix again for every row; here it is unpacked once for all of them, a piece at a time, which takes about as
long as MLX takes for one row. Decode steps and their guesses stay with MLX: a row's result does not depend on the rows
beside it there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import pairwise

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from edge.config import LayerQuantization
from edge.products import LEAST_VALUES, MOST_BLOCKED_ROWS, SMALL_PRODUCT, is_numpy_quicker, one_thread
from edge.unpacking import PART_BYTES, PART_VALUES, Floats, PackedRows, packed_rows, unpack

LEAST_ROWS = 3
"""Of a prompt for each matrix, experts on the average: for fewer MLX is as quick. Measured at 1536x2048: for two, of
mxfp4 and nvfp4 for three."""
PIECE_VALUES = 1 << 20
"""Of a matrix: so many are unpacked before they are multiplied by many rows."""
LEAST_SMALL_OUTPUTS = 16
"""Of a product that OpenBLAS makes without copying the matrix: with fewer, its calls take longer than the copy."""
_is_prompt: ContextVar[bool] = ContextVar("is_prompt", default=False)


@contextmanager
def reading_prompt() -> Iterator[None]:
    """Take all rows for a prompt's as long as this lasts, however few."""
    token = _is_prompt.set(True)
    try:
        yield
    finally:
        _is_prompt.reset(token)


def multiply_packed(
    rows: mx.array,
    weight: mx.array,
    scales: mx.array,
    biases: mx.array | None,
    *,
    group_size: int,
    bits: int,
    mode: str,
) -> mx.array:
    """Multiply rows (..., I) by a packed matrix of O outputs: (..., O).

    Args:
        rows: Where they are more than `MOST_BLOCKED_ROWS`, they are a prompt's or a picture's.
        weight: Codes (O, I * bits / 32), uint32.
        scales: (O, I / group_size).
        biases: The same, in the affine mode.
        group_size: Values that share a scale.
        bits: Of a code.
        mode: Of MLX's.
    """
    width = rows.shape[-1]
    num_rows = rows.size // width
    if num_rows < LEAST_ROWS or not _is_prompts(num_rows) or not _is_numpys(rows, weight, scales, biases):
        return mx.quantized_matmul(
            rows, weight, scales, biases, transpose=True, group_size=group_size, bits=bits, mode=mode
        )
    flat = rows.reshape(-1, width)
    result = mx.zeros((flat.shape[0], weight.shape[0]))
    mx.eval(flat, result)
    matrix = packed_rows(weight, scales, biases, LayerQuantization(group_size, bits, mode))
    with one_thread():
        _multiply(np.asarray(flat), matrix, out=np.asarray(result))
    return result.reshape(*rows.shape[:-1], weight.shape[0])


def multiply_chosen_packed(
    rows: mx.array,
    weights: mx.array,
    scales: mx.array,
    biases: mx.array | None,
    chosen: mx.array,
    *,
    form: LayerQuantization,
    num_tokens: int,
    is_sorted: bool,
    row_indexes: Callable[[], mx.array],
) -> mx.array:
    """Multiply rows by one packed matrix each of several.

    Args:
        rows: (..., 1, I); the leading axes are the first ones of `chosen`.
        weights: Codes (E, O, I * bits / 32), uint32.
        scales: (E, O, I / group_size).
        biases: The same, in the affine mode.
        chosen: Which matrix each row takes; a row takes several where this has more axes.
        form: How they are packed.
        num_tokens: Tokens that the rows are of: a prompt's, where they are more than `MOST_BLOCKED_ROWS`.
        is_sorted: Whether `chosen` goes up; then it has one axis.
        row_indexes: Gives the flat row of each choice, for MLX.

    Returns:
        (..., 1, O) with the axes of `chosen` in front.
    """
    is_worth_it = is_sorted and chosen.size >= LEAST_ROWS * weights.shape[0]
    if not is_worth_it or not _is_prompts(num_tokens) or not _is_numpys(rows, weights, scales, biases):
        return mx.gather_qmm(
            rows,
            weights,
            scales,
            biases,
            lhs_indices=None if is_sorted else row_indexes(),
            rhs_indices=chosen,
            transpose=True,
            group_size=form.group_size,
            bits=form.bits,
            mode=form.mode,
            sorted_indices=is_sorted,
        )
    flat = rows.reshape(-1, rows.shape[-1])
    result = mx.zeros((flat.shape[0], weights.shape[-2]))
    mx.eval(flat, chosen, result)
    matrices = packed_rows(weights, scales, biases, form)
    given, out = np.asarray(flat), np.asarray(result)
    with one_thread():
        for index, start, stop in _runs(np.asarray(chosen)):
            _multiply(given[start:stop], matrices[index], out=out[start:stop])
    return result.reshape(*chosen.shape, 1, weights.shape[-2])


def piece_bytes(matrix_values: int, *, value_bytes: int) -> int:
    """Bound the memory that numpy takes for unpacking, which MLX does not count.

    Args:
        matrix_values: Of the largest matrix.
        value_bytes: Of an activation; numpy takes float32 alone.
    """
    if value_bytes != 4:
        return 0
    return 4 * min(PIECE_VALUES, matrix_values) + PART_BYTES * min(PART_VALUES, matrix_values) // PART_VALUES


def _is_prompts(num_tokens: int) -> bool:
    """Tell whether tokens are a prompt's, and no decode step's."""
    return num_tokens > MOST_BLOCKED_ROWS or _is_prompt.get()


def _is_numpys(rows: mx.array, weight: mx.array, scales: mx.array, biases: mx.array | None) -> bool:
    """Tell who multiplies a prompt's rows: numpy where matrices are large enough, and all numbers float32."""
    num_values = rows.shape[-1] * weight.shape[-2]
    is_float = rows.dtype == mx.float32 and scales.dtype == (mx.uint8 if biases is None else mx.float32)
    return num_values >= LEAST_VALUES and is_float and is_numpy_quicker()


def _runs(chosen: NDArray[np.unsignedinteger]) -> Iterator[tuple[int, int, int]]:
    """Yield every number of a sorted array, with its first place and the first one behind it."""
    starts = [0, *(np.flatnonzero(np.diff(chosen)) + 1).tolist(), len(chosen)]
    for start, stop in pairwise(starts):
        yield int(chosen[start]), start, stop


def _multiply(rows: Floats, matrix: PackedRows, *, out: Floats) -> None:
    """Multiply (R, I) by one packed matrix into (R, O)."""
    width, num_outputs = rows.shape[1], out.shape[1]
    outputs_per_product = SMALL_PRODUCT // rows.size
    is_small = outputs_per_product >= LEAST_SMALL_OUTPUTS
    outputs_per_piece = max(1, (PART_VALUES if is_small else PIECE_VALUES) // width)
    if not is_small:
        outputs_per_product = outputs_per_piece
    room = np.empty((min(outputs_per_piece, num_outputs), width), dtype=np.float32)
    for first in range(0, num_outputs, outputs_per_piece):
        piece = room[: num_outputs - first]
        unpack(matrix[first : first + outputs_per_piece], out=piece)
        for start in range(0, len(piece), outputs_per_product):
            some = piece[start : start + outputs_per_product]
            np.matmul(rows, some.T, out=out[:, first + start : first + start + len(some)])
