"""Read GGUF files as untrusted data: metadata and tensor places, all inside the file.

In: the path of a file, or of any part of a split one. Out: `GgufFile` with metadata, tensors and their bytes when
asked for. Every count is held against the bytes that are left before anything of that size is made.
"""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from edge.checkpoint.files.rows import PlainFile
from edge.checkpoint.ggml.types import TYPES_BY_NUMBER, BlockType
from edge.errors import WeightError
from edge.lfs import refuse_pointer
from edge.records import dataclass

Value = bool | int | float | str | list[bool] | list[int] | list[float] | list[str]

MAGIC = b"GGUF"
VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32
MAX_ALIGNMENT = 1 << 16
MAX_AXES = 4
MAX_KEY_BYTES = 65535  # the format's own limit
MAX_NAME_BYTES = 1024
MAX_TENSORS = 1 << 20
MAX_ITEMS = 1 << 22  # of a list; a real vocabulary has 152,000
MAX_TEXT_BYTES = 1 << 26
SPLIT_NAME = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")
_AGAIN = "Download the file again."

_STRING, _ARRAY, _BOOL = 8, 9, 7
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", _BOOL: "B", 10: "Q", 11: "q", 12: "d"}
_LEAST_PAIR_BYTES = 13  # length, type, one byte of value
_LEAST_TENSOR_BYTES = 32  # length, axes, one size, type, offset


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """Where a tensor lies and what it is.

    Attributes:
        path: File that holds it.
        type: How its values are stored.
        shape: Slowest axis first, as in numpy (the file has it the other way round).
        start: First byte in the file.
        num_bytes: Its bytes.
    """

    path: Path
    type: BlockType
    shape: tuple[int, ...]
    start: int
    num_bytes: int

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of the last axis."""
        return self.type.num_bytes(self.shape[-1])


class GgufFile:
    """One or more open parts with checked headers.

    Attributes:
        path: The file, or the first part.
        metadata: Key -> value of the first part.
        tensors: Name -> type, shape and place over all parts.
    """

    def __init__(self, path: Path, metadata: Mapping[str, Value], tensors: Mapping[str, GgufTensor]) -> None:
        """Keep what `open_gguf` has read."""
        self.path = path
        self.metadata = MappingProxyType(dict(metadata))
        self.tensors = MappingProxyType(dict(tensors))
        self._files = {part: _open_part(part) for part in {tensor.path for tensor in tensors.values()}}

    @property
    def paths(self) -> tuple[Path, ...]:
        """The file, or all its parts."""
        return tuple(sorted({self.path, *(tensor.path for tensor in self.tensors.values())}))

    def read_bytes(self, name: str, start: int = 0, stop: int | None = None) -> NDArray[np.uint8]:
        """Read bytes of a tensor's rows, (rows, bytes per row); rows count over all but the last axis.

        Raises:
            WeightError: The file cannot be read, or was cut meanwhile.
        """
        tensor = self.tensors[name]
        rows = prod(tensor.shape[:-1])
        stop = rows if stop is None else stop
        assert 0 <= start <= stop <= rows, f"{name}: rows {start}..{stop} of {rows}"
        width = tensor.row_bytes
        first = tensor.start + start * width
        raw = self._files[tensor.path].read(first, (stop - start) * width, name=name)
        return raw.reshape(stop - start, width)


def open_gguf(path: Path) -> GgufFile:
    """Open a GGUF file; of a split one, all parts that lie beside it.

    Raises:
        WeightError: A part is missing, cut, or its header contradicts the file.
    """
    parts = _part_paths(path)
    metadata, tensors = _read_part(parts[0])
    _check_part(metadata, path=parts[0], number=0, num_parts=len(parts))
    for number, part in enumerate(parts[1:], start=1):
        own_metadata, own_tensors = _read_part(part)
        _check_part(own_metadata, path=part, number=number, num_parts=len(parts))
        if both := sorted(set(tensors) & set(own_tensors)):
            raise WeightError(f"{part}: {both[0]} is also in an earlier part; expected each tensor once. {_AGAIN}")
        tensors |= own_tensors
    if "split.tensors.count" in metadata and metadata["split.tensors.count"] != len(tensors):
        raise WeightError(
            f"{path}: expected {metadata['split.tensors.count']} tensors over {len(parts)} parts, "
            f"found {len(tensors)}. Download all parts again."
        )
    return GgufFile(parts[0], metadata, tensors)


def _part_paths(path: Path) -> list[Path]:
    match = SPLIT_NAME.fullmatch(path.name)
    if match is None:
        return [path]
    count = int(match["count"])
    if not 1 <= int(match["number"]) <= count:
        return [path]  # such a number is no part, only a name
    parts = [path.with_name(f"{match['stem']}-{number:05d}-of-{count:05d}.gguf") for number in range(1, count + 1)]
    for part in parts:
        if not part.is_file():
            raise WeightError(f"{part}: missing, expected all {count} parts in one folder. Download it.")
    return parts


def _check_part(metadata: Mapping[str, Value], *, path: Path, number: int, num_parts: int) -> None:
    found = (metadata.get("split.no", 0), metadata.get("split.count", 1))
    if found != (number, num_parts):
        raise WeightError(
            f"{path}: expected part {number + 1} of {num_parts}, the file says split.no {found[0]!r} and split.count "
            f"{found[1]!r}. Keep the parts' published names."
        )


def _open_part(path: Path) -> PlainFile:
    try:
        return PlainFile(path)
    except OSError as error:
        raise WeightError(f"{path}: cannot be read ({error.strerror}). Check the file and the disk.") from None


def _map_file(path: Path) -> mmap.mmap:
    if path.exists() and not path.is_file():
        raise WeightError(f"{path}: expected a GGUF file, found a folder, pipe or device. Give a .gguf file.")
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        raise WeightError(f"{path}: no such file. Give a .gguf file.") from None
    except ValueError:
        raise WeightError(f"{path}: expected a GGUF file, found an empty one. {_AGAIN}") from None
    except OSError as error:
        raise WeightError(f"{path}: cannot be read ({error.strerror}). Check the file and the disk.") from None


def _read_part(path: Path) -> tuple[dict[str, Value], dict[str, GgufTensor]]:
    with _map_file(path) as data:
        refuse_pointer(data[:64], path)
        if data[:4] != MAGIC:
            raise WeightError(f"{path}: expected a GGUF file, found one that starts with {data[:4]!r}. {_AGAIN}")
        cursor = _Cursor(data, path, position=4)
        version = cursor.number("I", "the version")
        if version not in VERSIONS:
            hint = "a big-endian file" if version in (v << 24 for v in VERSIONS) else f"version {version}"
            raise WeightError(f"{path}: expected GGUF version 2 or 3, found {hint}. Convert the model again.")
        num_tensors, num_pairs = cursor.number("Q", "the tensor count"), cursor.number("Q", "the metadata count")
        if max(num_tensors, num_pairs) > MAX_TENSORS:
            raise cursor.wrong(f"found {num_tensors} tensors and {num_pairs} metadata entries, expected fewer")
        cursor.expect_room(num_pairs, _LEAST_PAIR_BYTES, f"{num_pairs} metadata entries")
        metadata: dict[str, Value] = {}
        for _ in range(num_pairs):
            key = cursor.string("a metadata key", most=MAX_KEY_BYTES)
            if not key.isprintable():
                raise cursor.wrong(f"the metadata key {key[:80]!r} is not printable")
            if key in metadata:
                raise cursor.wrong(f"the key {key!r} appears twice")
            metadata[key] = cursor.value(key)
        cursor.expect_room(num_tensors, _LEAST_TENSOR_BYTES, f"{num_tensors} tensors")
        entries = [_read_entry(cursor) for _ in range(num_tensors)]
        return metadata, _place(entries, cursor, _alignment(metadata, cursor))


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    type: BlockType
    shape: tuple[int, ...]
    offset: int


def _read_entry(cursor: _Cursor) -> _Entry:
    name = cursor.string("a tensor name", most=MAX_NAME_BYTES)
    if not name.isprintable() or not name:
        raise cursor.wrong(f"the tensor name {name!r} is not printable")
    num_axes = cursor.number("I", f"the axes of {name}")
    if not 1 <= num_axes <= MAX_AXES:
        raise cursor.wrong(f"{name} has {num_axes} axes, expected 1 to {MAX_AXES}")
    sizes = [cursor.number("Q", f"the sizes of {name}") for _ in range(num_axes)]
    number = cursor.number("I", f"the type of {name}")
    kind = TYPES_BY_NUMBER.get(number)
    if kind is None:
        raise WeightError(
            f"{cursor.path}: {name} is stored as GGML type {number}, which this runtime does not know. "
            "Choose a file of another type, such as Q4_K_M."
        )
    if not all(sizes) or not kind.fits(sizes[0]):
        raise cursor.wrong(
            f"{name} has sizes {sizes}, expected rows of a multiple of {kind.block_values} ({kind.name})"
        )
    return _Entry(name, kind, tuple(reversed(sizes)), cursor.number("Q", f"the offset of {name}"))


def _place(entries: list[_Entry], cursor: _Cursor, alignment: int) -> dict[str, GgufTensor]:
    """Turn offsets into places; tensors must lie inside the file, aligned, without overlap."""
    start = -(-cursor.position // alignment) * alignment
    tensors: dict[str, GgufTensor] = {}
    free_from = 0
    for entry in sorted(entries, key=lambda entry: entry.offset):
        if entry.name in tensors:
            raise cursor.wrong(f"{entry.name} appears twice")
        if entry.offset % alignment or entry.offset < free_from:
            raise cursor.wrong(
                f"{entry.name} has offset {entry.offset}, expected a multiple of {alignment} without overlap"
            )
        num_bytes = entry.type.num_bytes(prod(entry.shape))
        free_from = entry.offset + num_bytes
        if start + free_from > cursor.size:
            raise WeightError(
                f"{cursor.path}: truncated, {entry.name} ends at byte {start + free_from}, the file has "
                f"{cursor.size}. {_AGAIN}"
            )
        tensors[entry.name] = GgufTensor(cursor.path, entry.type, entry.shape, start + entry.offset, num_bytes)
    return {entry.name: tensors[entry.name] for entry in entries}


def _alignment(metadata: Mapping[str, Value], cursor: _Cursor) -> int:
    value = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if type(value) is not int or not 1 <= value <= MAX_ALIGNMENT or value & (value - 1):
        raise cursor.wrong(f"general.alignment is {value!r}, expected a power of two")
    return value


class _Cursor:
    """A position in the mapped file that never passes its end."""

    def __init__(self, data: mmap.mmap, path: Path, *, position: int) -> None:
        self.path = path
        self.size = len(data)
        self.position = position
        self._data = data

    def wrong(self, problem: str) -> WeightError:
        return WeightError(f"{self.path}: {problem} (before byte {self.position}). {_AGAIN}")

    def expect_room(self, count: int, least_bytes: int, what: str) -> None:
        """Refuse a count that the rest of the file cannot hold."""
        left = self.size - self.position
        if count * least_bytes > left:
            raise WeightError(
                f"{self.path}: truncated or not a sound file, {what} need at least {count * least_bytes} bytes, "
                f"{left} are left. {_AGAIN}"
            )

    def number(self, code: str, what: str) -> int:
        size = struct.calcsize(f"<{code}")
        self.expect_room(1, size, what)
        (value,) = struct.unpack_from(f"<{code}", self._data, self.position)
        self.position += size
        return int(value)

    def string(self, what: str, *, most: int = MAX_TEXT_BYTES) -> str:
        length = self.number("Q", f"the length of {what}")
        if length > most:
            raise self.wrong(f"{what} has {length} bytes, expected at most {most}")
        self.expect_room(length, 1, what)
        self.position += length
        return self._text(self._data[self.position - length : self.position], what)

    def value(self, key: str) -> Value:
        kind = self.number("I", f"the type of {key}")
        if kind == _STRING:
            return self.string(key)
        if kind == _ARRAY:
            return self._array(key)
        return self._scalars(kind, 1, key)[0]

    def _array(self, key: str) -> Value:
        kind, count = self.number("I", f"the item type of {key}"), self.number("Q", f"the length of {key}")
        if count > MAX_ITEMS:
            raise self.wrong(f"{key} has {count} items, expected at most {MAX_ITEMS}")
        if kind != _STRING:
            return self._scalars(kind, count, key)
        self.expect_room(count, 8, f"{count} strings of {key}")
        return self._strings(count, key)

    def _scalars(self, kind: int, count: int, key: str) -> list[bool] | list[int] | list[float]:
        code = _SCALARS.get(kind)
        if code is None:
            raise self.wrong(f"{key} has value type {kind}, expected a number, a string or a flat list")
        size = struct.calcsize(f"<{code}")
        self.expect_room(count, size, f"{count} values of {key}")
        values = struct.unpack_from(f"<{count}{code}", self._data, self.position)
        self.position += count * size
        return [value != 0 for value in values] if kind == _BOOL else list(values)

    def _strings(self, count: int, key: str) -> list[str]:
        """Read many short strings; the one place where speed counts (300,000 in a real vocabulary)."""
        data, size, position = self._data, self.size, self.position
        unpack = struct.Struct("<Q").unpack_from
        texts = []
        for _ in range(count):
            begin = position + 8
            if begin > size:
                break
            position = begin + unpack(data, position)[0]
            if position > size:
                break
            texts.append(data[begin:position])
        if len(texts) < count:
            raise WeightError(f"{self.path}: truncated inside the {count} strings of {key}. {_AGAIN}")
        self.position = position
        try:
            return [text.decode() for text in texts]
        except UnicodeDecodeError:
            raise self.wrong(f"{key} holds a string that is not UTF-8") from None

    def _text(self, raw: bytes, what: str) -> str:
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise self.wrong(f"{what} is not UTF-8") from None
