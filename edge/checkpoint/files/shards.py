"""Open safetensors files one tensor at a time, trusting nothing in their headers.

In: a file or a folder of shards. Out: names, dtypes and shapes at once, `mx.array`s when asked for.
Files are memory-mapped; a tensor's pages are given back after it is read, so memory holds one tensor.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path
from types import MappingProxyType

import mlx.core as mx
import numpy as np

from edge.checkpoint.files.header import TensorInfo, read_header
from edge.config_json import read_json_object
from edge.errors import ConfigError, WeightError

# How each stored dtype is read with numpy, and what the bits mean to MLX (None: numpy's type is already right).
# Both 8-bit float types and MX scales have no MLX dtype: they stay bytes, and an operation decodes them.
_READ_AS: Mapping[str, tuple[str, mx.Dtype | None]] = {
    "BOOL": ("?", None),
    "U8": ("u1", None),
    "I8": ("i1", None),
    "F8_E4M3": ("u1", None),
    "U16": ("<u2", None),
    "I16": ("<i2", None),
    "F16": ("<f2", None),
    "BF16": ("<u2", mx.bfloat16),
    "U32": ("<u4", None),
    "I32": ("<i4", None),
    "F32": ("<f4", None),
    "U64": ("<u8", None),
    "F64": ("<f8", None),  # becomes float32
    "I64": ("<i8", None),
}


_PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt")
INDEX_NAME = "model.safetensors.index.json"


class SafetensorsFile:
    """One memory-mapped safetensors file with a checked header.

    Attributes:
        path: The file.
        tensors: Name -> dtype, shape and place of every tensor.
        metadata: The file's own `__metadata__` strings.
    """

    def __init__(self, path: Path) -> None:
        """Map a file and check its header against its size.

        Raises:
            WeightError: The file is missing, truncated, or its header contradicts the file.
        """
        self.path = path
        if path.exists() and not path.is_file():
            raise WeightError(f"{path}: expected a safetensors shard, found a folder, pipe or device. Remove it.")
        try:
            with path.open("rb") as file:
                header = read_header(file, path)
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError:
            raise WeightError(f"{path}: file not found. Expected a safetensors shard; download it again.") from None
        except OSError as error:
            raise WeightError(f"{path}: cannot be read ({error.strerror}). Check the file and the disk.") from None
        self.tensors: Mapping[str, TensorInfo] = MappingProxyType(header.tensors)
        self.metadata: Mapping[str, str] = MappingProxyType(header.metadata)

    def read(self, name: str, start: int = 0, stop: int | None = None) -> mx.array:
        """Copy one tensor, or rows of its first axis, into MLX; F8_E4M3 comes as its uint8 codes.

        Args:
            name: The tensor.
            start: First row of the first axis.
            stop: End of the rows; None reads to the end.

        Raises:
            WeightError: The stored dtype cannot be read.
        """
        info = self.tensors[name]
        if info.dtype not in _READ_AS:
            raise WeightError(
                f"{self.path}: {name} is stored as {info.dtype}, which is not supported, "
                f"only {', '.join(_READ_AS)}. Use another conversion of the model."
            )
        numpy_type, meaning = _READ_AS[info.dtype]
        shape, first, num_bytes = _rows_of(info, start, stop)
        if 0 in shape:
            array = mx.zeros(shape, dtype=meaning or mx.array(np.zeros((), numpy_type)).dtype)
        else:
            view = np.frombuffer(self._map, dtype=numpy_type, count=prod(shape), offset=first)
            array = mx.array(view.reshape(shape))
            array = array if meaning is None else array.view(meaning)
        mx.eval(array)
        self._give_back_pages(first, num_bytes)
        return array

    def _give_back_pages(self, first: int, num_bytes: int) -> None:
        start = first - first % mmap.PAGESIZE
        with suppress(AttributeError, OSError, ValueError):  # only a hint; not every system has it
            self._map.madvise(mmap.MADV_DONTNEED, start, first + num_bytes - start)


def _rows_of(info: TensorInfo, start: int, stop: int | None) -> tuple[tuple[int, ...], int, int]:
    """Return shape, first byte and bytes of some rows of the first axis."""
    if start == 0 and stop is None:
        return info.shape, info.start, info.num_bytes
    stop = info.shape[0] if stop is None else stop
    assert 0 <= start <= stop <= info.shape[0], f"rows {start} to {stop} of {info.shape}"
    row_bytes = info.num_bytes // max(info.shape[0], 1)
    return (stop - start, *info.shape[1:]), info.start + start * row_bytes, (stop - start) * row_bytes


@dataclass(frozen=True, slots=True)
class TensorSource:
    """All tensors of a folder, each read from its shard when asked for.

    Attributes:
        folder: Where the shards lie.
        files: The shards in use, sorted by name.
        tensors: Name -> info over all shards.
        index_missing: Shards that the index lists and the folder lacks; harmless when the index is stale.
        index_total: Number of shards the index lists, 0 without an index.
        unlisted: Shards on disk that a sound index does not list; they are not used.
    """

    folder: Path
    files: tuple[SafetensorsFile, ...]
    tensors: Mapping[str, TensorInfo]
    index_missing: tuple[str, ...] = ()
    index_total: int = 0
    unlisted: tuple[str, ...] = ()

    def read(self, name: str, start: int = 0, stop: int | None = None) -> mx.array:
        """Copy one tensor, or rows of its first axis, into MLX; F8_E4M3 comes as its uint8 codes."""
        return self.file_of(name).read(name, start, stop)

    def file_of(self, name: str) -> SafetensorsFile:
        """Return the shard that holds a tensor."""
        path = self.tensors[name].path
        return next(file for file in self.files if file.path == path)

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)


def open_folder(folder: Path) -> TensorSource:
    """Open the shards of a model folder.

    A sound index (every shard there, every tensor in its shard) decides which files belong to the model. Any other
    index is stale, as in published MLX folders: then all shards on disk count, and what is missing in the end tells.

    Raises:
        WeightError: No shard, a broken shard, or a tensor that is there twice.
    """
    paths = sorted(path for path in folder.glob("*.safetensors") if not path.name.startswith((".", "adapter_model")))
    if not paths:
        raise WeightError(_explain_no_shards(folder))
    files = tuple(SafetensorsFile(path) for path in paths)
    weight_map = _read_weight_map(folder)
    listed = sorted(set(weight_map.values()))
    by_name = {file.path.name: file for file in files}
    is_sound = bool(listed) and all(
        shard in by_name and name in by_name[shard].tensors for name, shard in weight_map.items()
    )
    if is_sound:
        unlisted = tuple(name for name in by_name if name not in listed)
        used = tuple(by_name[name] for name in listed)
        return join_files(used, folder=folder, index_total=len(listed), unlisted=unlisted)
    missing = tuple(shard for shard in listed if shard not in by_name)
    return join_files(files, folder=folder, index_missing=missing, index_total=len(listed))


def _read_weight_map(folder: Path) -> dict[str, str]:
    path = folder / INDEX_NAME
    if not path.exists():
        return {}
    try:
        weight_map = read_json_object(path).get("weight_map")
    except ConfigError as error:
        raise WeightError(str(error)) from None
    if not isinstance(weight_map, dict) or not all(map(_is_name, weight_map.values())):
        raise WeightError(f"{path}: expected a weight_map from tensor to shard, found none. Download it again.")
    return weight_map


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value.isprintable()


def _explain_no_shards(folder: Path) -> str:
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in _PICKLE_SUFFIXES)
    if pickles:
        return (
            f"{folder}: expected .safetensors files, found {pickles[0]}; pickle files can run code when opened and are "
            "never read here. Choose a safetensors version of the model."
        )
    listed = sorted(set(_read_weight_map(folder).values()))
    if listed:
        return (
            f"{folder / INDEX_NAME} lists {len(listed)} shards, {len(listed)} are missing: {listed[0]}, ... "
            "Download them again."
        )
    found = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
    return f"{folder}: expected .safetensors files, found {found}. Choose a complete model folder."


def join_files(
    files: tuple[SafetensorsFile, ...],
    *,
    folder: Path,
    index_missing: tuple[str, ...] = (),
    index_total: int = 0,
    unlisted: tuple[str, ...] = (),
) -> TensorSource:
    """Make one source of several files.

    Raises:
        WeightError: Two files hold a tensor of the same name.
    """
    tensors: dict[str, TensorInfo] = {}
    for file in files:
        for name, info in file.tensors.items():
            if name in tensors:
                raise WeightError(
                    f"{folder}: {name} is in {tensors[name].path.name} and again in {file.path.name}; expected each "
                    "tensor once. Remove the files that do not belong to this model."
                )
            tensors[name] = info
    return TensorSource(folder, files, MappingProxyType(tensors), index_missing, index_total, unlisted)
