"""Write files whole or at given places, and say in one line when the disk is full or fails."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge.errors import EdgeError
from edge.memory import GB

MB = 1_000_000
_NO_SPACE = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
_READ_BYTES = 2**22


class OutputError(EdgeError):
    """The output cannot be written."""


@dataclass(frozen=True, slots=True)
class Extent:
    """Bytes of a file, from `start` up to `stop`."""

    file_name: str
    start: int
    stop: int

    @property
    def num_bytes(self) -> int:
        """Bytes in the file."""
        return self.stop - self.start


class OpenFiles:
    """Files of an unfinished output, open in one process; its threads may share them."""

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        """Open the files, and make those that are not there.

        Raises:
            OutputError: The disk is full or fails.
        """
        self._folder = folder
        with explain_disk_errors(folder):
            self._files = {name: os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o644) for name in names}

    def set_length(self, name: str, num_bytes: int) -> None:
        """Give a file its length; what was not written is a hole."""
        with explain_disk_errors(self._folder):
            if os.fstat(self._files[name]).st_size != num_bytes:
                os.ftruncate(self._files[name], num_bytes)

    def write(self, extents: Iterable[Extent], contents: Iterable[memoryview]) -> str:
        """Write bytes at their places.

        Args:
            extents: Where.
            contents: The bytes of each extent.

        Returns:
            The sha256 of all of them, one after the other.

        Raises:
            OutputError: The disk is full or fails.
        """
        digest = hashlib.sha256()
        for extent, data in zip(extents, contents, strict=True):
            assert len(data) == extent.num_bytes, f"{extent}: {len(data)} bytes"
            digest.update(data)
            with explain_disk_errors(self._folder):
                write_all(self._files[extent.file_name], data, extent.start)
        return digest.hexdigest()

    def hash_extents(self, extents: Iterable[Extent]) -> str:
        """Return the sha256 of what stands in the files, as `write` does."""
        digest = hashlib.sha256()
        for extent in extents:
            for start in range(extent.start, extent.stop, _READ_BYTES):
                num_bytes = min(_READ_BYTES, extent.stop - start)
                digest.update(os.pread(self._files[extent.file_name], num_bytes, start))
        return digest.hexdigest()

    def flush(self) -> None:
        """Wait until the bytes are on the disk."""
        for file in self._files.values():
            os.fsync(file)

    def close(self) -> None:
        """Close the files."""
        while self._files:
            os.close(self._files.popitem()[1])


def check_space(path: Path, needed_bytes: int) -> None:
    """Refuse to begin what cannot be finished.

    Args:
        path: The output; it need not exist.
        needed_bytes: Still to be written.

    Raises:
        OutputError: The disk has less room.
    """
    parent = next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(parent).free
    if free < needed_bytes:
        raise OutputError(
            f"{parent}: {describe_bytes(needed_bytes)} are needed, {describe_bytes(free)} are free. Make room, or "
            "choose another disk or a smaller output."
        )


def describe_bytes(num_bytes: int) -> str:
    """Write a size in GB, in MB where it is smaller than one, or in bytes where MB would show none."""
    if num_bytes < MB // 100:
        return f"{num_bytes:,} bytes"
    return f"{num_bytes / GB:.2f} GB" if num_bytes >= GB else f"{num_bytes / MB:.2f} MB"


def describe_least(num_bytes: int) -> str:
    """Write a size that is needed: rounded up, so that who gives what is told gives enough."""
    step = (GB if num_bytes >= GB else MB) // 100
    return describe_bytes(-(-num_bytes // step) * step)


def write_text(path: Path, text: str) -> None:
    """Write a text file that is never seen half.

    Raises:
        OutputError: The disk is full or fails.
    """
    partial = path.with_name(path.name + ".partial")
    with explain_disk_errors(path):
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)


@contextmanager
def explain_disk_errors(path: Path) -> Iterator[None]:
    """Turn failures of the disk into one line that says how to go on.

    Raises:
        OutputError: Writing failed.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise OutputError(
                f"{path}: the disk is full. What is done is kept; make room and run the same command again to go on."
            ) from None
        raise OutputError(
            f"{path}: cannot be written ({error.strerror or error}). Check the disk and run the same command again."
        ) from None


def write_all(file: int, data: memoryview, offset: int) -> None:
    """Write all bytes from an offset on; OSErrors are the caller's."""
    while data:
        written = os.pwrite(file, data, offset)
        data, offset = data[written:], offset + written
