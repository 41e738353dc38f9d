"""Make float32 matrix products by numpy where MLX's own are slow: on Linux CPUs, by one thread, a step's rows alike.

In: arrays of MLX, perhaps not evaluated. Out: their products, computed at once. MLX's wheel for Linux brings a
plain BLAS whose time grows with every row; numpy's wheel brings OpenBLAS, many times as quick for several. One token is
MLX's, which need not be waited for; so are small matrices, and everything on other machines.

OpenBLAS rounds a row otherwise at another place among others. So the few rows of a decode step are multiplied in blocks
of eight, filled up with zeros: there a row's result is the same whichever rows come, leave or stand beside it. A row
that is alone has MLX's, which differs in the last digits (1e-7), as it does on a GPU.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Literal

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

LEAST_VALUES = 1 << 14
"""A matrix of fewer values is multiplied sooner than MLX is waited for."""
BLOCK_ROWS = 8
MOST_BLOCKED_ROWS = 64
"""So many rows take part in a decode step at most, guesses included; more are a prompt's or a picture's."""
LEAST_QUERIES = 16
"""Attention from fewer stays with MLX: decode steps and their guesses."""
LEAST_SCORES = 1 << 16
_by_mlx = 0


@contextmanager
def by_mlx() -> Iterator[None]:
    """Leave all products to MLX as long as this lasts, so that a graph can be traced: nothing is computed at once."""
    global _by_mlx
    _by_mlx += 1
    try:
        yield
    finally:
        _by_mlx -= 1


def multiply(rows: mx.array, weight: mx.array, bias: mx.array | None = None) -> mx.array:
    """Multiply rows (..., I) by a matrix (O, I), and add a bias (O,): (..., O)."""
    if not _is_numpys(rows, weight, num_tokens=rows.size // rows.shape[-1]):
        return rows @ weight.T if bias is None else mx.addmm(bias, rows, weight.T)
    *lead, width = rows.shape
    flat = rows.reshape(-1, width)
    result = mx.zeros((flat.shape[0], weight.shape[0]))
    mx.eval(flat, weight, result)
    with _one_thread():
        _multiply(np.asarray(flat), np.asarray(weight).T, out=np.asarray(result))
    if bias is not None:
        result = result + bias
    return result.reshape(*lead, weight.shape[0])


def multiply_chosen(
    rows: mx.array, weights: mx.array, chosen: mx.array, *, is_sorted: bool, row_indexes: Callable[[], mx.array]
) -> mx.array:
    """Multiply rows by one matrix each of several.

    Args:
        rows: (..., 1, I); the leading axes are the first ones of `chosen`, its first one the tokens.
        weights: (E, O, I).
        chosen: Which matrix each row takes; a row takes several where this has more axes.
        is_sorted: Whether `chosen` goes up.
        row_indexes: Gives the flat row of each choice, for MLX.

    Returns:
        (..., 1, O) with the axes of `chosen` in front.
    """
    if not _is_numpys(rows, weights, num_tokens=len(chosen)):
        return mx.gather_mm(
            rows,
            weights.swapaxes(-1, -2),
            lhs_indices=None if is_sorted else row_indexes(),
            rhs_indices=chosen,
            sorted_indices=is_sorted,
        )
    flat = rows.reshape(-1, rows.shape[-1])
    result = mx.zeros((chosen.size, weights.shape[-2]))
    mx.eval(flat, weights, chosen, result)
    given, matrices, choice, out = (np.asarray(array) for array in (flat, weights, chosen, result))
    choice = choice.reshape(-1)
    choices_per_row = len(choice) // len(given)
    with _one_thread():
        for index in np.unique(choice):
            places = np.flatnonzero(choice == index)
            part = np.empty((len(places), out.shape[1]), dtype=np.float32)
            _multiply(given[places // choices_per_row], matrices[index].T, out=part)
            out[places] = part
    return result.reshape(*chosen.shape, 1, weights.shape[-2])


def attend(
    queries: mx.array, keys: mx.array, values: mx.array, *, scale: float, mask: Literal["causal"] | None = None
) -> mx.array:
    """Attend from queries (B, H, L, Dh) to keys and values (B, K, S, Dh), H a multiple of K; returns (B, H, L, Dh)."""
    batch, num_heads, num_queries, head_dim = queries.shape
    num_kv_heads, num_keys = keys.shape[1:3]
    is_worth_it = num_queries >= LEAST_QUERIES and num_heads * num_queries * num_keys >= LEAST_SCORES
    if not (is_worth_it and _is_numpy_quicker() and queries.dtype == keys.dtype == mx.float32):
        return mx.fast.scaled_dot_product_attention(queries, keys, values, scale=scale, mask=mask)
    grouped = (batch, num_kv_heads, num_heads // num_kv_heads * num_queries)
    scores = _multiply_heads((queries * scale).reshape(*grouped, head_dim), keys.swapaxes(-1, -2))
    if mask == "causal":
        rows = scores.reshape(*grouped[:2], -1, num_queries, num_keys)
        scores = mx.where(_visible(num_queries, num_keys), rows, -mx.inf).reshape(scores.shape)
    return _multiply_heads(mx.softmax(scores, axis=-1), values).reshape(queries.shape)


def _multiply_heads(left: mx.array, right: mx.array) -> mx.array:
    """Multiply (B, K, R, X) by (B, K, X, Y)."""
    result = mx.zeros((*left.shape[:-1], right.shape[-1]))
    mx.eval(left, right, result)
    with _one_thread():
        np.matmul(np.asarray(left), np.asarray(right), out=np.asarray(result))
    return result


def _multiply(rows: NDArray[np.float32], matrix: NDArray[np.float32], *, out: NDArray[np.float32]) -> None:
    """Multiply (R, I) by (I, O) into (R, O), a few rows by blocks of equal size."""
    num_rows, width = rows.shape
    if num_rows > MOST_BLOCKED_ROWS:
        np.matmul(rows, matrix, out=out)
        return
    num_blocks = -(-num_rows // BLOCK_ROWS)
    filled = np.zeros((num_blocks, BLOCK_ROWS, width), dtype=np.float32)
    filled.reshape(-1, width)[:num_rows] = rows
    for index, block in enumerate(filled):
        start = index * BLOCK_ROWS
        out[start : start + BLOCK_ROWS] = (block @ matrix)[: num_rows - start]


def _visible(num_queries: int, num_keys: int) -> mx.array:
    """Return (L, S) booleans: the last query sees all keys, each one before it one key less."""
    last_seen = mx.arange(num_keys - num_queries, num_keys)[:, None]
    return mx.arange(num_keys)[None] <= last_seen


def turned(weight: mx.array) -> mx.array:
    """Return a matrix (..., O, I), evaluated, with its columns in one piece each where MLX's BLAS is a plain one.

    That one adds up columns, one after the other, 1.3 to 1.8 times as quickly as it multiplies one row by another.
    """
    if weight.dtype != mx.float32 or not _is_blas_plain():
        return weight
    columns = mx.contiguous(weight.swapaxes(-1, -2)).swapaxes(-1, -2)
    mx.eval(columns)
    return columns


def _is_numpys(rows: mx.array, weight: mx.array, *, num_tokens: int) -> bool:
    """Tell who multiplies rows by one or several matrices (O, I): one token's stay with MLX, which nobody waits for."""
    size: int = weight.shape[-1] * weight.shape[-2]
    is_large = num_tokens > 1 and size >= LEAST_VALUES
    return is_large and rows.dtype == weight.dtype == mx.float32 and _is_numpy_quicker()


def _is_numpy_quicker() -> bool:
    """Tell whether numpy multiplies here."""
    return not _by_mlx and _is_blas_plain() and _thread_setter() is not None


def _is_blas_plain() -> bool:
    """Tell whether MLX computes with the BLAS of its Linux wheel; macOS has a quick one of its own."""
    return sys.platform != "darwin" and mx.default_device().type == mx.DeviceType.cpu


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep OpenBLAS from sharing a product out: its threads wait in loops, for ever where the machine is busy."""
    set_threads = _thread_setter()
    assert set_threads is not None, "only OpenBLAS is asked"
    set_number, usual = set_threads
    set_number(1)
    try:
        yield
    finally:
        set_number(usual)


@cache
def _thread_setter() -> tuple[Callable[[int], object], int] | None:
    """Return how numpy's own OpenBLAS is told how many threads to use, and how many it uses; None if it has none."""
    folder = Path(np.__file__).parent.parent / "numpy.libs"
    for path in sorted(folder.glob("lib*openblas*")):
        library = ctypes.CDLL(str(path))  # loaded already: this only finds it
        for prefix in ("scipy_", ""):
            try:
                setter = getattr(library, f"{prefix}openblas_set_num_threads64_")
                return setter, int(getattr(library, f"{prefix}openblas_get_num_threads64_")())
            except AttributeError:
                continue
    return None
