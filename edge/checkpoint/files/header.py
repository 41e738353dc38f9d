"""Read a safetensors header as untrusted data.

In: an open file. Out: name -> dtype, shape and byte range of every tensor, all inside the file.
Sizes that the file cannot hold are refused before anything of that size is allocated.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from edge.checkpoint.files.dtypes import DTYPES
from edge.errors import WeightError
from edge.lfs import START, refuse_pointer
from edge.records import dataclass

MAX_HEADER_BYTES = 100_000_000  # the format's own limit
MAX_RANK = 8
MAX_NAME_LENGTH = 256  # real ones have 80
_SHOWN_LENGTH = 80
_AGAIN = "Download the file again."


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Where a tensor lies and what it is: file, format dtype (`BF16`, `U32`, ...), shape, first byte, bytes."""

    path: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    num_bytes: int


@dataclass(frozen=True, slots=True)
class Header:
    """A checked header."""

    tensors: dict[str, TensorInfo]
    metadata: dict[str, str]


def read_header(file: BinaryIO, path: Path) -> Header:
    """Read and check the header of an open safetensors file.

    Args:
        file: The file, open for reading at its start.
        path: Its name, for messages and for the tensors.

    Raises:
        WeightError: The file is too short, the header is not what the format allows, or it lies about sizes.
    """
    file_bytes = os.fstat(file.fileno()).st_size
    prefix = file.read(8)
    if len(prefix) < 8:
        raise WeightError(f"{path}: truncated, expected a safetensors file, found {file_bytes} bytes. {_AGAIN}")
    if START.startswith(prefix):
        refuse_pointer(prefix + file.read(64), path)
    header_bytes = int.from_bytes(prefix, "little")
    if header_bytes > MAX_HEADER_BYTES:
        raise WeightError(
            f"{path}: expected a safetensors header of at most {MAX_HEADER_BYTES} bytes, found a length of "
            f"{header_bytes}; not a safetensors file. {_AGAIN}"
        )
    if 8 + header_bytes > file_bytes:
        raise WeightError(
            f"{path}: truncated, the header needs {8 + header_bytes} bytes, the file has {file_bytes}. {_AGAIN}"
        )
    raw = _parse(file.read(header_bytes), path)
    metadata = raw.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict):
        raise WeightError(f"{path}: __metadata__ should be an object, found {_shown(metadata)}. {_AGAIN}")
    data_start = 8 + header_bytes
    tensors = {name: _read_entry(name, entry, path=path, data_start=data_start) for name, entry in raw.items()}
    _check_extent(tensors, path, data_start=data_start, file_bytes=file_bytes)
    return Header(tensors=tensors, metadata={str(key): str(value) for key, value in metadata.items()})


def _parse(text: bytes, path: Path) -> dict[str, Any]:  # Any: JSON, narrowed by _read_entry
    try:
        raw = json.loads(text, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise WeightError(f"{path}: the header is not readable JSON ({error}). {_AGAIN}") from None
    if not isinstance(raw, dict):
        raise WeightError(f"{path}: the header should be a JSON object, found {type(raw).__name__}. {_AGAIN}")
    return raw


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:  # Any: JSON
    result = dict(pairs)
    if len(result) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise ValueError(f"{_shown(next(name for name, count in counts.items() if count > 1))} appears twice")
    return result


def _read_entry(name: str, entry: Any, *, path: Path, data_start: int) -> TensorInfo:  # Any: JSON
    if not name.isprintable() or len(name) > MAX_NAME_LENGTH:
        raise WeightError(
            f"{path}: the name {_shown(name)} is not printable or too long, expected a tensor name. {_AGAIN}"
        )
    entry = entry if isinstance(entry, dict) else {}
    dtype, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        known = ", ".join(DTYPES)
        raise WeightError(f"{path}: {name} has dtype {_shown(dtype)}, expected one of {known}. {_AGAIN}")
    if not _are_counts(shape) or len(shape) > MAX_RANK:
        raise WeightError(
            f"{path}: {name} has shape {_shown(shape)}, expected at most {MAX_RANK} whole numbers. {_AGAIN}"
        )
    if not _are_counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise WeightError(f"{path}: {name} has data_offsets {_shown(offsets)}, expected [start, end]. {_AGAIN}")
    num_bytes = prod(shape) * DTYPES[dtype].bits // 8
    if offsets[1] - offsets[0] != num_bytes:
        raise WeightError(
            f"{path}: {name} of {dtype} {_shown(shape)} needs {num_bytes} bytes, its data_offsets {offsets} "
            f"hold {offsets[1] - offsets[0]}. {_AGAIN}"
        )
    return TensorInfo(path, dtype, tuple(shape), data_start + offsets[0], num_bytes)


def _are_counts(value: object) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 2**63 for item in value)


def _shown(value: object) -> str:
    """Write a value for a message: a file may hold one of a hundred megabytes."""
    text = repr(value[:_SHOWN_LENGTH] if isinstance(value, str | list) else value)
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}..."


def _check_extent(tensors: dict[str, TensorInfo], path: Path, *, data_start: int, file_bytes: int) -> None:
    """Check that tensors follow each other without overlap or gap and end where the file ends."""
    ordered = sorted(tensors.items(), key=lambda item: (item[1].start, item[1].num_bytes))
    end = max((info.start + info.num_bytes for _, info in ordered), default=data_start)
    if end > file_bytes:
        raise WeightError(f"{path}: truncated, the tensors need {end} bytes, the file has {file_bytes}. {_AGAIN}")
    if end < file_bytes:
        raise WeightError(
            f"{path}: the tensors end at byte {end}, the file has {file_bytes}; expected nothing behind them. {_AGAIN}"
        )
    if ordered and ordered[0][1].start != data_start:
        raise WeightError(f"{path}: {ordered[0][0]} should start the data, found a gap before it. {_AGAIN}")
    for (name, info), (next_name, next_info) in pairwise(ordered):
        if info.start + info.num_bytes != next_info.start:
            raise WeightError(f"{path}: {next_name} should start where {name} ends, found an overlap or gap. {_AGAIN}")
