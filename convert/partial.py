"""Keep an unfinished output so that a conversion killed at any moment can go on.

In: the files to come, the pieces of work as bytes of these files, and a key that stands for source, settings and
versions. Out: a folder `OUT.partial` with the files at full length, and a journal with one line per finished piece,
holding the sha256 of the bytes it wrote. A line is written after its bytes. On resuming, a piece counts only if its
bytes are still those of the journal.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from convert.disk import Extent, OpenFiles, check_space, explain_disk_errors, explain_interrupt, write_all
from edge.errors import UsageError

JOURNAL = ".journal.jsonl"
_LAYOUT = "file layout"
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A file to come: its first bytes, and its length with everything."""

    name: str
    head: bytes
    num_bytes: int


class PartialOutput:
    """Files in the making.

    Attributes:
        path: The folder `OUT.partial` beside OUT, so that renaming is one step.
        done: Numbers of the finished pieces.
    """

    def __init__(self, out: Path, *, files: Sequence[OutputFile], pieces: Sequence[Sequence[Extent]]) -> None:
        """Name the folder; nothing is written yet.

        Args:
            out: Final name: of the folder, or of a file beside which all the others go.
            files: All files that pieces write to.
            pieces: What each piece writes, in an order that depends on the key only.
        """
        self.out = out
        self.path = partial_path(out)
        self.done: set[int] = set()
        self._output_files, self._pieces = files, pieces
        self._files = OpenFiles(self.path, ())
        self._journal = -1

    @contextmanager
    def opened(
        self, key: Mapping[str, str], *, extra_bytes: int = 0, on_kept: Callable[[int], None] = lambda number: None
    ) -> Iterator[PartialOutput]:
        """Make the folder or take up an unfinished one, and hold it for this process.

        Args:
            key: What decides the output's bytes, readable; an unfinished folder with another key is refused.
            extra_bytes: What the work needs on the disk besides the files.
            on_kept: Called with the number of each piece of an earlier run that was found whole.

        Raises:
            UsageError: The folder belongs to another conversion, or one that is running.
            OutputError: The disk has too little room, or fails.
            KeyboardInterrupt: The user interrupted, with a line that says how to go on.
        """
        if not (self.path / JOURNAL).exists():
            self._check_space(extra_bytes)  # before there is a folder that would have to be deleted
        with explain_disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            self._journal = os.open(self.path / JOURNAL, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            with explain_interrupt(self.path):
                self._lock()
                with explain_disk_errors(self.path):
                    recorded = self._read_journal({**key, _LAYOUT: self._hash_layout()})
                    self._prepare_files()
                    self._check_pieces(recorded, on_kept)
                self._check_space(extra_bytes)
                yield self
        finally:
            self._files.close()
            os.close(self._journal)

    def write_piece(self, number: int, contents: Iterable[memoryview]) -> str:
        """Write the bytes of a piece, one entry per extent; return their sha256 for `record`.

        Raises:
            OutputError: The disk is full or fails.
        """
        return self._files.write(self._pieces[number], contents)

    def record(self, number: int, digest: str) -> None:
        """Note in the journal that a piece is written.

        Raises:
            OutputError: The disk is full or fails.
        """
        line = json.dumps({"piece": number, "sha256": digest}) + "\n"
        with explain_disk_errors(self.path):
            write_all(self._journal, memoryview(line.encode()), os.lseek(self._journal, 0, os.SEEK_END))
        self.done.add(number)

    def finish_folder(self) -> None:
        """Give the folder its final name.

        Raises:
            OutputError: The name was taken meanwhile, or the disk fails.
        """
        with explain_disk_errors(self.path):
            self._files.flush()
            (self.path / JOURNAL).unlink()
            if self.out.is_dir():
                self.out.rmdir()  # an empty folder made by the user
            self.path.rename(self.out)

    def finish_files(self) -> None:
        """Move the files out of the folder, over those of the same names, and remove it.

        Raises:
            OutputError: The disk fails.
        """
        with explain_disk_errors(self.path):
            self._files.flush()
            for file in self._output_files:
                (self.path / file.name).replace(self.out.with_name(file.name))
            shutil.rmtree(self.path)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(
                f"{self.path}: another conversion is writing here. Wait for it, or choose another OUT."
            ) from None

    def _hash_layout(self) -> str:
        digest = hashlib.sha256(repr([[*map(str, piece)] for piece in self._pieces]).encode())
        for file in self._output_files:
            digest.update(f"{file.name} {file.num_bytes}".encode() + file.head)
        return digest.hexdigest()

    def _read_journal(self, key: Mapping[str, str]) -> dict[int, str]:
        """Return the finished pieces; begin a new journal where there is none."""
        size = os.fstat(self._journal).st_size
        text = os.pread(self._journal, size, 0)
        lines = text[: text.rfind(b"\n") + 1].splitlines()  # the last line may be cut
        first = json.dumps({"key": dict(sorted(key.items()))}).encode()
        if not lines:
            os.ftruncate(self._journal, 0)
            write_all(self._journal, memoryview(first + b"\n"), 0)
            return {}
        if lines[0] != first:
            raise UsageError(
                f"{self.path} holds an unfinished conversion with {_describe_difference(lines[0], key)}. "
                "Repeat the command it was begun with, delete the folder, or choose another OUT."
            )
        os.ftruncate(self._journal, sum(len(line) + 1 for line in lines))
        entries = [json.loads(line) for line in lines[1:]]
        return {int(entry["piece"]): str(entry["sha256"]) for entry in entries}

    def _prepare_files(self) -> None:
        self._files = OpenFiles(self.path, [file.name for file in self._output_files])
        for file in self._output_files:
            self._files.write([Extent(file.name, 0, len(file.head))], [memoryview(file.head)])
            self._files.set_length(file.name, file.num_bytes)

    def _check_pieces(self, recorded: Mapping[int, str], on_kept: Callable[[int], None]) -> None:
        for number, expected in recorded.items():
            if self._files.hash_extents(self._pieces[number]) == expected:
                self.done.add(number)
                on_kept(number)

    def _check_space(self, extra_bytes: int) -> None:
        kept_bytes = sum(extent.num_bytes for number in self.done for extent in self._pieces[number])
        check_space(self.path, sum(file.num_bytes for file in self._output_files) - kept_bytes + extra_bytes)


def fill_files(items: Iterable[tuple[Item, int]], *, max_bytes: int | None) -> list[list[Item]]:
    """Put items into files in their order.

    Args:
        items: Each with its bytes.
        max_bytes: Most bytes of one file; a single larger item gets a file of its own. None makes one file.
    """
    groups: list[list[Item]] = [[]]
    filled = 0
    for item, num_bytes in items:
        if max_bytes is not None and groups[-1] and filled + num_bytes > max_bytes:
            groups.append([])
            filled = 0
        groups[-1].append(item)
        filled += num_bytes
    return groups


def partial_path(out: Path) -> Path:
    """Name the folder of an unfinished output."""
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


def _describe_difference(first_line: bytes, key: Mapping[str, str]) -> str:
    try:
        former = dict(json.loads(first_line)["key"])
    except (ValueError, KeyError, TypeError):
        return "an unreadable journal"
    names = [name for name in sorted({*former, *key}) if former.get(name) != key.get(name)]
    told = [name for name in names if name != _LAYOUT] or names  # the layout follows from the others
    return f"another {' and '.join(told)}"
