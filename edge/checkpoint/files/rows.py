"""Read bytes and rows of tensors out of a checkpoint's files: the one reader of folders, GGUF pairs and converters.

Reads are plain, at a given place. A mapped file that is cut while it is read kills the process; a plain read of it
comes back short, which is one line for the user. Rows go straight into the memory of the array that holds them, so
that a tensor is in memory once.
"""

from __future__ import annotations

import os
import weakref
from math import prod
from pathlib import Path

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from edge.checkpoint.files.dtypes import DTYPES, READABLE, Stored
from edge.checkpoint.files.header import TensorInfo
from edge.errors import SpoiledError, WeightError


class PlainFile:
    """A file that is read at given places, by any thread; it stays the file that was opened, whatever its name shows.

    Attributes:
        path: Its name.
    """

    def __init__(self, path: Path) -> None:
        """Open a file.

        Raises:
            OSError: It cannot be opened.
        """
        self.path = path
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.close = weakref.finalize(self, os.close, self._file)

    def fileno(self) -> int:
        """Return the system's number of the open file."""
        return self._file

    def read_into(self, buffer: memoryview, start: int, *, name: str) -> None:
        """Fill a buffer with the bytes from a place on.

        Args:
            buffer: One axis of bytes, writable.
            start: First byte in the file.
            name: What is read, for messages.

        Raises:
            WeightError: The file cannot be read.
            SpoiledError: It ends before the buffer is full.
        """
        done = 0
        try:
            while done < len(buffer):
                count = os.preadv(self._file, [buffer[done:]], start + done)
                if not count:
                    raise SpoiledError(f"{self.path}: truncated while it was read, at {name}. Download it again.")
                done += count
        except OSError as error:
            raise WeightError(f"{self.path}: {name} cannot be read ({error.strerror}). Check the disk.") from None

    def read(self, start: int, num_bytes: int, *, name: str) -> NDArray[np.uint8]:
        """Return bytes from a place on; arguments and errors as for `read_into`."""
        raw = np.empty(num_bytes, dtype=np.uint8)
        self.read_into(raw.data, start, name=name)
        return raw


def read_rows(
    info: TensorInfo,
    name: str,
    start: int = 0,
    stop: int | None = None,
    *,
    file: PlainFile | None = None,
    is_checked: bool = False,
) -> mx.array:
    """Read a tensor, or rows of its first axis.

    Args:
        info: Where the tensor lies.
        name: For messages.
        start: First row.
        stop: Row behind the last one; None reads to the end.
        file: The open file; None opens it for this read.
        is_checked: Refuse values that are infinite or no number.

    Returns:
        The rows, evaluated, in the dtype they are stored in; F8_E4M3 as its uint8 codes, F64 as float32.

    Raises:
        WeightError: The dtype cannot be read, or the file cannot.
        SpoiledError: The file ends before the rows do, or holds values that are refused.
    """
    stored = DTYPES[info.dtype]
    if info.dtype not in READABLE:
        raise WeightError(
            f"{info.path}: {name} is stored as {info.dtype}, which is not supported, only {', '.join(READABLE)}. "
            "Use another conversion of the model."
        )
    shape, first = _rows_of(info, start, stop)
    if 0 in shape:
        return mx.zeros(shape, dtype=stored.mlx_type)
    if file is None:
        file = _open(info.path, name)
        try:
            return _read(file, info, name, stored, shape, first, is_checked=is_checked)
        finally:
            file.close()
    return _read(file, info, name, stored, shape, first, is_checked=is_checked)


def _rows_of(info: TensorInfo, start: int, stop: int | None) -> tuple[tuple[int, ...], int]:
    """Return shape and first byte of some rows of the first axis."""
    if start == 0 and stop is None:
        return info.shape, info.start
    stop = info.shape[0] if stop is None else stop
    assert 0 <= start <= stop <= info.shape[0], f"rows {start} to {stop} of {info.shape}"
    row_bytes = info.num_bytes // max(info.shape[0], 1)
    return (stop - start, *info.shape[1:]), info.start + start * row_bytes


def _open(path: Path, name: str) -> PlainFile:
    try:
        return PlainFile(path)
    except OSError as error:
        raise WeightError(f"{path}: {name} cannot be read ({error.strerror}). Check the disk.") from None


def _read(
    file: PlainFile,
    info: TensorInfo,
    name: str,
    stored: Stored,
    shape: tuple[int, ...],
    first: int,
    *,
    is_checked: bool,
) -> mx.array:
    if info.dtype == "F64":
        raw = file.read(first, prod(shape) * 8, name=name)
        return mx.array(_narrow(raw.view("<f8"), info, name).reshape(shape))
    array, bits = _make_array(prod(shape), stored)
    file.read_into(bits.view(np.uint8).data, first, name=name)
    if is_checked:
        _check(bits, stored, info, name)
    return array.reshape(shape).view(stored.mlx_type)


def _make_array(num_values: int, stored: Stored) -> tuple[mx.array, NDArray[np.generic]]:
    """Make an array of MLX, and the numpy array of the same memory."""
    carrier = mx.array(np.zeros((), stored.numpy_type)).dtype
    array = mx.zeros((num_values,), carrier)
    mx.eval(array)
    bits: NDArray[np.generic] = np.array(array, copy=False)
    assert bits.flags.writeable, "MLX shares its memory with numpy"
    return array, bits


def _check(bits: NDArray[np.generic], stored: Stored, info: TensorInfo, name: str) -> None:
    if stored.wrong_bits is None:
        return
    mask = bits.dtype.type(stored.wrong_bits)
    if wrong := np.count_nonzero((bits & mask) == mask):  # type: ignore[operator]  # whole numbers
        raise SpoiledError(
            f"{info.path}: {name} holds {wrong} values that are infinite or no number. The file is damaged; "
            "download it again."
        )


def _narrow(values: NDArray[np.float64], info: TensorInfo, name: str) -> NDArray[np.float32]:
    """Make float32 of doubles; a value beyond its range would become infinite without a word."""
    if wrong := np.count_nonzero(~np.isfinite(values)):
        raise SpoiledError(
            f"{info.path}: {name} holds {wrong} values that are infinite or no number. The file is damaged; "
            "download it again."
        )
    with np.errstate(over="ignore"):  # refused below
        narrowed = values.astype(np.float32)
    if not np.isfinite(narrowed).all():
        raise SpoiledError(f"{info.path}: {name} holds values beyond the range of float32. Choose a sound checkpoint.")
    return narrowed
