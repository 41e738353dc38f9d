"""Lay out a GGUF file before a tensor is read: header bytes, and the place of every tensor.

In: keys, and names with shapes and types. Out: one `FilePlan` per part, so that workers may write in any order.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from convert.disk import Extent
from convert.gguf.metadata import Pairs, packed_text, split_pairs
from convert.partial import fill_files
from edge.checkpoint.files.gguf import DEFAULT_ALIGNMENT, MAGIC
from edge.checkpoint.ggml.types import BlockType
from edge.checkpoint.names.ops import Shape

VERSION = 3


@dataclass(frozen=True, slots=True)
class TensorPlan:
    """A tensor to be written: name, shape with the slowest axis first, type."""

    name: str
    shape: Shape
    type: BlockType

    @property
    def num_bytes(self) -> int:
        """Bytes of its values."""
        return self.type.num_bytes(prod(self.shape))

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of axis 0."""
        return self.num_bytes // self.shape[0]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor goes."""

    path: Path
    start: int
    tensor: TensorPlan

    def extent(self, start: int, stop: int) -> Extent:
        """Return where rows `start` to `stop` of axis 0 go."""
        row_bytes = self.tensor.row_bytes
        return Extent(self.path.name, self.start + start * row_bytes, self.start + stop * row_bytes)


@dataclass(frozen=True, slots=True)
class FilePlan:
    """One file: its first bytes, its size, and its tensors' places."""

    path: Path
    head: bytes
    num_bytes: int
    places: tuple[Place, ...]


def plan_files(path: Path, pairs: Pairs, tensors: Sequence[TensorPlan], *, max_bytes: int | None) -> list[FilePlan]:
    """Lay out a file, or its parts when it would hold more than `max_bytes` of tensors.

    Parts are named as llama.cpp's are: `X-00001-of-00003.gguf`.
    """
    groups = fill_files(((tensor, tensor.num_bytes) for tensor in tensors), max_bytes=max_bytes)
    if len(groups) == 1:
        return [_plan_file(path, pairs, groups[0])]
    stem, num = path.name.removesuffix(".gguf"), len(groups)
    return [
        _plan_file(
            path.with_name(f"{stem}-{index + 1:05d}-of-{num:05d}.gguf"),
            split_pairs(pairs if index == 0 else None, index=index, num_parts=num, num_tensors=len(tensors)),
            group,
        )
        for index, group in enumerate(groups)
    ]


def _plan_file(path: Path, pairs: Pairs, tensors: Sequence[TensorPlan]) -> FilePlan:
    entries, offset, offsets = [], 0, []
    for tensor in tensors:
        sizes = tuple(reversed(tensor.shape))
        entries.append(packed_text(tensor.name) + struct.pack(f"<I{len(sizes)}Q", len(sizes), *sizes))
        entries[-1] += struct.pack("<IQ", tensor.type.number, offset)
        offsets.append(offset)
        offset += _padded(tensor.num_bytes)
    head = MAGIC + struct.pack("<IQQ", VERSION, len(tensors), pairs.num) + pairs.data + b"".join(entries)
    head += bytes(_padded(len(head)) - len(head))
    places = tuple(Place(path, len(head) + own, tensor) for own, tensor in zip(offsets, tensors, strict=True))
    return FilePlan(path, head, len(head) + offset, places)


def _padded(num_bytes: int) -> int:
    return -(-num_bytes // DEFAULT_ALIGNMENT) * DEFAULT_ALIGNMENT
