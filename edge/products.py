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
import math
import sys
from collections.abc import Callable, Iterator, Sequence
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
SMALL_PRODUCT = 1_000_000
"""OpenBLAS makes products of so many multiplications at most without copying the matrix."""
MOST_BLOCKED_ROWS = 64
"""So many rows take part in a decode step at most, guesses included; more are a prompt's or a picture's."""
LEAST_QUERIES = 2
"""A decode step has one and stays with MLX; with its guesses it has more, and MLX's time grows with each."""
LEAST_SCORES = 1 << 16
CUT_BYTES, MOST_CUT_BYTES = 1 << 22, 1 << 24
"""Scores that are held at a time, and more of one head, up to `BEST_CUT_ROWS`; they are numpy's, which MLX does not
count."""
LEAST_CUT_ROWS, BEST_CUT_ROWS = 128, 256
"""Where a cut of all heads would have fewer queries, heads are taken one after the other: a product of few rows waits
for its keys and values to come from memory."""
LEAST_WIDTH = 256
"""Of a token's activations: fewer are computed sooner than MLX is waited for."""
CUT_VALUES = 1 << 16
"""Activations that are computed at a time, so that what lies between stays in the cache."""
GELU_SLOPE, GELU_CUBE = math.sqrt(2.0 / math.pi), 0.044715
Floats = NDArray[np.float32]
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
    with one_thread():
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
    with one_thread():
        for index in np.flatnonzero(np.bincount(choice)):  # `np.unique` imports numpy.ma, 20 ms
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
    if not is_attention_numpys(queries, keys):
        return mx.fast.scaled_dot_product_attention(queries, keys, values, scale=scale, mask=mask)
    result = mx.zeros(queries.shape)
    mx.eval(queries, keys, values, result)
    per_head = num_heads // num_kv_heads
    num_groups = batch * num_kv_heads  # heads that share keys and values
    given, out = (np.asarray(array).reshape(num_groups, per_head, num_queries, head_dim) for array in (queries, result))
    k, v = (np.asarray(array).reshape(num_groups, num_keys, head_dim) for array in (keys, values))
    row_bytes = 4 * per_head * num_keys
    rows_per_cut = CUT_BYTES // (row_bytes * num_groups)
    groups_per_cut = num_groups if rows_per_cut >= min(num_queries, LEAST_CUT_ROWS) else 1
    if groups_per_cut == 1:
        cut_bytes = min(MOST_CUT_BYTES, max(CUT_BYTES, 4 * BEST_CUT_ROWS * num_keys))
        rows_per_cut = max(1, cut_bytes // row_bytes)
    with one_thread():
        for group in range(0, num_groups, groups_per_cut):
            heads = slice(group, group + groups_per_cut)
            for start in range(0, num_queries, rows_per_cut):
                stop = min(start + rows_per_cut, num_queries)
                cut = (given[heads, :, start:stop] * np.float32(scale)).reshape(groups_per_cut, -1, head_dim)
                seen = num_keys if mask is None else num_keys - num_queries + stop
                num_hiding = 0 if mask is None else stop - start
                mixed = _attend_rows(cut, k[heads, :seen], v[heads, :seen], num_hiding=num_hiding)
                out[heads, :, start:stop] = mixed.reshape(groups_per_cut, per_head, stop - start, head_dim)
    return result


def is_attention_numpys(queries: mx.array, keys: mx.array) -> bool:
    """Tell whether `attend` is numpy's here, which needs no bound on its scores."""
    _, num_heads, num_queries, _ = queries.shape
    is_worth_it = num_queries >= LEAST_QUERIES and num_heads * num_queries * keys.shape[2] >= LEAST_SCORES
    return is_worth_it and queries.dtype == keys.dtype == mx.float32 and is_numpy_quicker()


def attend_apart(queries: mx.array, held: Sequence[mx.array], num_held: Sequence[int], *, scale: float) -> mx.array:
    """Attend from one token each of several rows to what each of them remembers, computed at once.

    Args:
        queries: (B, H, 1, Dh).
        held: Keys and values behind them of each row, (1, 2K, room, Dh), H a multiple of K.
        num_held: Tokens of each row, at most its room.
        scale: Factor of the scores.

    Returns:
        (B, H, 1, Dh).
    """
    num_kv_heads = held[0].shape[1] // 2
    mx.eval(queries, held)
    given = np.asarray(queries)
    mixed = np.empty(given.shape, dtype=np.float32)
    with one_thread():
        for row, buffer, num_tokens, out in zip(given, held, num_held, mixed, strict=True):
            heads = np.asarray(buffer)[0, :, :num_tokens]  # (2K, S, Dh)
            rows = (row * np.float32(scale)).reshape(num_kv_heads, -1, row.shape[-1])
            out[:] = _attend_rows(rows, heads[:num_kv_heads], heads[num_kv_heads:], num_hiding=0).reshape(out.shape)
    return mx.array(mixed)


def is_quick_apart(queries: mx.array) -> bool:
    """Tell whether several rows' attention is numpy's here, from queries (B, H, L, Dh)."""
    return queries.shape[2] == 1 and queries.dtype == mx.float32 and is_numpy_quicker()


def _attend_rows(rows: Floats, keys: Floats, values: Floats, *, num_hiding: int) -> Floats:
    """Attend from scaled rows (..., X, Dh) to keys and values (..., S, Dh); the last few tokens hide what follows."""
    scores: Floats = rows @ keys.swapaxes(-1, -2)  # (..., X, S), changed in place from here on
    if num_hiding > 1:
        square = scores.reshape(*rows.shape[:-2], -1, num_hiding, scores.shape[-1])[..., -num_hiding:]
        square[..., np.triu(np.ones((num_hiding, num_hiding), dtype=np.bool_), 1)] = -np.inf
    np.subtract(scores, scores.max(axis=-1, keepdims=True), out=scores)
    np.exp(scores, out=scores)
    np.divide(scores, scores.sum(axis=-1, keepdims=True), out=scores)
    mixed: Floats = scores @ values
    return mixed


def _multiply(rows: Floats, matrix: Floats, *, out: Floats) -> None:
    """Multiply (R, I) by (I, O) into (R, O), a few rows by blocks of equal size."""
    num_rows, width = rows.shape
    if num_rows > MOST_BLOCKED_ROWS:
        np.matmul(rows, matrix, out=out)
        return
    num_blocks = -(-num_rows // BLOCK_ROWS)
    filled = np.zeros((num_blocks, BLOCK_ROWS, width), dtype=np.float32)
    filled.reshape(-1, width)[:num_rows] = rows
    columns = _columns_at_a_time(matrix)
    product = np.empty((BLOCK_ROWS, matrix.shape[1]), dtype=np.float32)
    for index, block in enumerate(filled):
        start = index * BLOCK_ROWS
        for left in range(0, matrix.shape[1], columns):
            part = slice(left, left + columns)
            np.matmul(block, matrix[:, part], out=product[:, part])
        out[start : start + BLOCK_ROWS] = product[: num_rows - start]


def _columns_at_a_time(matrix: Floats) -> int:
    """Say how many columns of (I, O) a block of rows is multiplied by: few, so that OpenBLAS copies no matrix.

    It makes small products without a copy: 1.2 times as quickly where a matrix lies by rows, 1.5 to 3 times where by
    columns.
    """
    width, num_columns = matrix.shape
    lies_by_rows = matrix.strides[1] == matrix.itemsize
    fitting: int = SMALL_PRODUCT // (BLOCK_ROWS * width) // 16 * 16
    best, least = (384, 128) if lies_by_rows else (128, 16)
    return min(best, fitting) if fitting >= least else num_columns


def is_elementwise_numpys(values: mx.array, *, num_tokens: int) -> bool:
    """Tell whether numpy computes the exponentials of an array (..., I) here; one token's stay with MLX."""
    is_large = num_tokens > 1 and values.shape[-1] >= LEAST_WIDTH
    return is_large and values.dtype == mx.float32 and is_numpy_quicker()


def swiglu_by_numpy(gate: mx.array, up: mx.array) -> mx.array:
    """Compute silu(gate) * up of two float32 arrays of one shape, at once."""
    return _filled(_swiglu_into, gate, up)


def gelu_tanh_by_numpy(x: mx.array) -> mx.array:
    """Compute the tanh approximation of GELU of a float32 array, at once."""
    return _filled(_gelu_tanh_into, x)


def _filled(function: Callable[..., None], *arrays: mx.array) -> mx.array:
    """Let a function fill the parts of a result, given the same parts of arrays of its shape."""
    result = mx.zeros(arrays[0].shape)
    mx.eval(arrays, result)
    flat = [np.asarray(array).reshape(-1, array.shape[-1]) for array in (result, *arrays)]
    num_rows = max(1, CUT_VALUES // flat[0].shape[1])
    with np.errstate(over="ignore"):
        for start in range(0, len(flat[0]), num_rows):
            function(*(array[start : start + num_rows] for array in flat))
    return result


def _swiglu_into(out: Floats, gate: Floats, up: Floats) -> None:
    np.exp(-gate, out=out)
    out += 1
    np.divide(gate, out, out=out)
    out *= up


def _gelu_tanh_into(out: Floats, x: Floats) -> None:
    np.multiply(x, x, out=out)
    out *= np.float32(GELU_SLOPE * GELU_CUBE)
    out += np.float32(GELU_SLOPE)
    out *= x
    np.tanh(out, out=out)
    out += 1
    out *= x
    out *= np.float32(0.5)


def are_scores_cut(*, value_bytes: int) -> bool:
    """Tell whether a prompt's scores never lie in memory whole here: on a GPU, whose kernels are fused, and by numpy.

    Args:
        value_bytes: Of an activation; numpy takes float32 alone.
    """
    return mx.default_device().type == mx.DeviceType.gpu or are_scores_numpys(value_bytes=value_bytes)


def are_scores_numpys(*, value_bytes: int) -> bool:
    """Tell whether all scores but the smallest are numpy's here: at most `MOST_CUT_BYTES` at a time."""
    return value_bytes == 4 and is_numpy_quicker()


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
    return is_large and rows.dtype == weight.dtype == mx.float32 and is_numpy_quicker()


def is_numpy_quicker() -> bool:
    """Tell whether numpy multiplies here."""
    return not _by_mlx and _is_blas_plain() and _thread_setter() is not None


def _is_blas_plain() -> bool:
    """Tell whether MLX computes with the BLAS of its Linux wheel; macOS has a quick one of its own."""
    return sys.platform != "darwin" and mx.default_device().type == mx.DeviceType.cpu


@contextmanager
def one_thread() -> Iterator[None]:
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
