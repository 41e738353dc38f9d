"""Write small GGUF files by hand, sound ones and broken ones."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

from edge.checkpoint.ggml.types import TYPES

ALIGNMENT = 32


def text(value: str | bytes) -> bytes:
    """A string: length and bytes."""
    raw = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(raw)) + raw


def pair(key: str, kind: int, raw: bytes) -> bytes:
    """A metadata entry with a raw value."""
    return text(key) + struct.pack("<I", kind) + raw


def u32(key: str, value: int) -> bytes:
    """A whole number."""
    return pair(key, 4, struct.pack("<I", value))


def string(key: str, value: str) -> bytes:
    """A text."""
    return pair(key, 8, text(value))


def strings(key: str, *values: str) -> bytes:
    """A list of texts."""
    return pair(key, 9, struct.pack("<IQ", 8, len(values)) + b"".join(map(text, values)))


def entry(name: str, sizes: tuple[int, ...], kind: int, offset: int) -> bytes:
    """A tensor's entry; sizes as in the file, fastest axis first."""
    return text(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, offset)


def assemble(
    pairs: list[bytes],
    entries: list[bytes],
    data: bytes = b"",
    *,
    num_pairs: int | None = None,
    num_tensors: int | None = None,
    magic: bytes = b"GGUF",
    version: int = 3,
) -> bytes:
    """Put a file together; counts may lie."""
    counts = (
        len(entries) if num_tensors is None else num_tensors,
        len(pairs) if num_pairs is None else num_pairs,
    )
    head = magic + struct.pack("<IQQ", version, *counts) + b"".join(pairs) + b"".join(entries)
    return head + bytes(-len(head) % ALIGNMENT) + data


def small_file() -> bytes:
    """A sound file with every kind of metadata and three tensors."""
    pairs = [
        string("general.architecture", "test"),
        u32("a.u32", 7),
        pair("a.bool", 7, b"\x01"),
        pair("a.f32", 6, struct.pack("<f", 0.5)),
        pair("a.i64", 11, struct.pack("<q", -3)),
        pair("a.list", 9, struct.pack("<IQ3i", 5, 3, -1, 0, 1)),
        strings("a.texts", "ä", "", "b c"),
    ]
    entries = [
        entry("one", (3,), 0, 0),
        entry("two.weight", (64, 2), TYPES["Q8_0"].number, 32),
        entry("three.weight", (4, 2), 1, 32 + 160),
    ]
    data = struct.pack("<3f", 1, 2, 3).ljust(32, b"\0") + bytes(range(136)).ljust(160, b"\0") + bytes(16)
    return assemble(pairs, entries, data)


def write(path: Path, raw: bytes) -> Path:
    """Write bytes; return the path."""
    path.write_bytes(raw)
    return path


def split_pairs(number: int, count: int, num_tensors: int) -> list[bytes]:
    """The keys of a part."""
    return [
        pair("split.no", 2, struct.pack("<H", number)),
        pair("split.count", 2, struct.pack("<H", count)),
        pair("split.tensors.count", 5, struct.pack("<i", num_tensors)),
    ]


def replaced(raw: bytes, changes: Mapping[int, bytes]) -> bytes:
    """Overwrite bytes at some places."""
    changed = bytearray(raw)
    for place, value in changes.items():
        changed[place : place + len(value)] = value
    return bytes(changed)
