"""Keep an unfinished output folder so that a conversion killed at any moment can go on.

In: the layout and a key that stands for source, recipe and versions. Out: a folder `OUT.partial` with the shards at
full length, and a journal with one line per finished piece, holding the sha256 of the bytes it wrote. A line is
written after its bytes. On resuming, a piece counts only if its bytes are still those of the journal.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from convert.checkpoint import Piece
from convert.mlx.layout import GB, FolderLayout, StoredTensor
from edge.errors import EdgeError, UsageError

JOURNAL = ".journal.jsonl"
_NO_SPACE = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
_READ_BYTES = 2**22


class OutputError(EdgeError):
    """The output folder cannot be written."""


class PartialFolder:
    """An output folder in the making.

    Attributes:
        path: `OUT.partial`, beside the final folder, so that renaming is one step.
        done: Numbers of the finished pieces.
    """

    def __init__(self, out: Path, layout: FolderLayout) -> None:
        """Name the folder; nothing is written yet."""
        self.out = out
        self.path = partial_path(out)
        self.done: set[int] = set()
        self._layout = layout
        self._files: dict[str, int] = {}
        self._journal = -1

    @contextmanager
    def opened(
        self, key: Mapping[str, str], pieces: Sequence[Piece], *, on_check: Callable[[int], None] | None = None
    ) -> Iterator[PartialFolder]:
        """Make the folder or take up an unfinished one, and hold it for this process.

        Args:
            key: What decides the output's bytes, readable; an unfinished folder with another key is refused.
            pieces: The work, in an order that depends on the key only.
            on_check: Called with the bytes of each finished piece that was checked.

        Raises:
            UsageError: The folder belongs to another conversion, or one that is running.
            OutputError: It cannot be written.
        """
        with explain_disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            self._journal = os.open(self.path / JOURNAL, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._lock()
            with explain_disk_errors(self.path):
                recorded = self._read_journal(key)
                self._open_files()
                self._check_pieces(recorded, pieces, on_check)
            yield self
        finally:
            self._close()

    def write_piece(self, piece: Piece, arrays: Mapping[str, Mapping[str, memoryview]]) -> str:
        """Write the parts of a piece's targets at their place.

        Args:
            piece: Which rows.
            arrays: Parameter -> part -> bytes of the rows.

        Returns:
            The sha256 of all of them, for `record`.

        Raises:
            OutputError: The disk is full or fails.
        """
        digest = hashlib.sha256()
        for target in piece.rule.targets:
            for part, tensor in self._layout.parts[target.name].items():
                data = arrays[target.name][part]
                assert len(data) == (piece.stop - piece.start) * tensor.row_bytes, f"{tensor.name}: wrong length"
                digest.update(data)
                with explain_disk_errors(self.path):
                    _write_all(self._files[tensor.file_name], data, tensor.offset + piece.start * tensor.row_bytes)
        return digest.hexdigest()

    def record(self, number: int, digest: str) -> None:
        """Note in the journal that a piece is written.

        Raises:
            OutputError: The disk is full or fails.
        """
        line = json.dumps({"piece": number, "sha256": digest}) + "\n"
        with explain_disk_errors(self.path):
            _write_all(self._journal, memoryview(line.encode()), os.lseek(self._journal, 0, os.SEEK_END))
        self.done.add(number)

    def finish(self) -> None:
        """Give the folder its final name.

        Raises:
            OutputError: The name was taken meanwhile, or the disk fails.
        """
        with explain_disk_errors(self.path):
            (self.path / JOURNAL).unlink()
            if self.out.is_dir():
                self.out.rmdir()  # an empty folder made by the user
            self.path.rename(self.out)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(
                f"{self.path}: another conversion is writing here. Wait for it, or choose another OUT."
            ) from None

    def _read_journal(self, key: Mapping[str, str]) -> dict[int, str]:
        """Return the finished pieces; begin a new journal where there is none."""
        size = os.fstat(self._journal).st_size
        text = os.pread(self._journal, size, 0)
        lines = text[: text.rfind(b"\n") + 1].splitlines()  # the last line may be cut
        first = json.dumps({"key": dict(sorted(key.items()))}).encode()
        if not lines:
            os.ftruncate(self._journal, 0)
            _write_all(self._journal, memoryview(first + b"\n"), 0)
            return {}
        if lines[0] != first:
            raise UsageError(
                f"{self.path} holds an unfinished conversion with {self._difference(lines[0], key)}. "
                "Repeat the command it was begun with, delete the folder, or choose another OUT."
            )
        os.ftruncate(self._journal, sum(len(line) + 1 for line in lines))
        entries = [json.loads(line) for line in lines[1:]]
        return {int(entry["piece"]): str(entry["sha256"]) for entry in entries}

    def _difference(self, first_line: bytes, key: Mapping[str, str]) -> str:
        try:
            former = dict(json.loads(first_line)["key"])
        except (ValueError, KeyError, TypeError):
            return "an unreadable journal"
        names = [name for name in sorted({*former, *key}) if former.get(name) != key.get(name)]
        return f"another {' and '.join(names)}"

    def _open_files(self) -> None:
        for shard in self._layout.shards:
            file = os.open(self.path / shard.file_name, os.O_RDWR | os.O_CREAT, 0o644)
            self._files[shard.file_name] = file
            _write_all(file, memoryview(shard.header), 0)
            if os.fstat(file).st_size != shard.num_bytes:
                os.ftruncate(file, shard.num_bytes)

    def _check_pieces(
        self, recorded: Mapping[int, str], pieces: Sequence[Piece], on_check: Callable[[int], None] | None
    ) -> None:
        for number, expected in recorded.items():
            digest = hashlib.sha256()
            num_bytes = 0
            for tensor, piece in self._tensors_of(pieces[number]):
                start = tensor.offset + piece.start * tensor.row_bytes
                stop = tensor.offset + piece.stop * tensor.row_bytes
                num_bytes += stop - start
                for place in range(start, stop, _READ_BYTES):
                    digest.update(os.pread(self._files[tensor.file_name], min(_READ_BYTES, stop - place), place))
            if digest.hexdigest() == expected:
                self.done.add(number)
            if on_check is not None:
                on_check(num_bytes)

    def _tensors_of(self, piece: Piece) -> Iterator[tuple[StoredTensor, Piece]]:
        for target in piece.rule.targets:
            for tensor in self._layout.parts[target.name].values():
                yield tensor, piece

    def _close(self) -> None:
        for file in (*self._files.values(), self._journal):
            os.close(file)
        self._files.clear()


def partial_path(out: Path) -> Path:
    """Name the unfinished folder of an output folder."""
    return out.with_name(out.name + ".partial")


def check_out(out: Path) -> None:
    """Refuse an output folder that holds something.

    Raises:
        UsageError: There is a file or a folder that is not empty.
    """
    if out.is_dir() and not any(out.iterdir()):
        return
    if out.exists() or out.is_symlink():
        raise UsageError(f"{out} exists. Choose another OUT, or delete it.")


def check_space(path: Path, needed_bytes: int) -> None:
    """Refuse to begin what cannot be finished.

    Args:
        path: The output folder; it need not exist.
        needed_bytes: Still to be written.

    Raises:
        OutputError: The disk has less room.
    """
    parent = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    free = shutil.disk_usage(parent).free
    if free < needed_bytes:
        raise OutputError(
            f"{parent}: {needed_bytes / GB:.2f} GB are needed, {free / GB:.2f} GB are free. Make room, or choose "
            "another OUT or a smaller recipe."
        )


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


def _write_all(file: int, data: memoryview, offset: int) -> None:
    while data:
        written = os.pwrite(file, data, offset)
        data, offset = data[written:], offset + written
