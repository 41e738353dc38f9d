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
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from convert.disk import Extent, OpenFiles, check_space, explain_disk_errors, write_all
from convert.final import JOURNAL, KEY_START, Final, partial_path, take_back_folder
from convert.interrupt import explain_interrupt
from edge.errors import UsageError

SOURCE_FOLDER = ".source"  # what a streamed source keeps inside
_LAYOUT = "file layout"
_MOST_LINE_BYTES = 200
_OR = "Repeat the command it was begun with, delete the folder, or choose another OUT."
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A file to come: its first bytes, and its length with everything."""

    name: str
    head: bytes
    num_bytes: int


@dataclass(frozen=True, slots=True)
class Claim:
    """The folder of an unfinished output, held by this process: its path, and its open journal."""

    path: Path
    journal: int


@contextmanager
def claim_partial(out: Path) -> Iterator[Claim]:
    """Make the folder of an unfinished output, or take up one, and hold it for this process.

    A folder that is left without a journal's first line is removed again.

    Raises:
        UsageError: Another process holds it, or it is none of ours.
        OutputError: The disk fails.
    """
    take_back_folder(out)
    path = partial_path(out)
    _check_is_ours(path)
    with explain_disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        journal = os.open(path / JOURNAL, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        try:
            fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(
                f"{path}: another conversion is writing here. Wait for it, or choose another OUT."
            ) from None
        if not _is_same_file(journal, path / JOURNAL):
            raise UsageError(f"{path}: another conversion has just ended here. Run the command again.")
        try:
            yield Claim(path, journal)
        finally:
            if os.fstat(journal).st_size == 0 and _is_same_file(journal, path / JOURNAL):
                _remove_empty(path)
    finally:
        os.close(journal)


def _check_is_ours(path: Path) -> None:
    """Refuse a folder (or anything else) of the user's that has the name of an unfinished output."""
    if not path.exists() and not path.is_symlink():
        return
    is_ours = False
    if path.is_dir() and not path.is_symlink():
        with explain_disk_errors(path):
            names = {entry.name for entry in path.iterdir()}
            is_ours = not names or (JOURNAL in names and _is_journal(path / JOURNAL, names))
    if not is_ours:
        raise UsageError(
            f"{path}: expected an unfinished conversion under this name, found something else, which is left alone. "
            "Move it away, or choose another OUT."
        )


def _is_journal(path: Path, names: set[str]) -> bool:
    """Tell whether a file is a journal; one whose first line is not there yet has nothing beside it but a source."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(len(KEY_START))
    return start == KEY_START or (KEY_START.startswith(start) and names <= {JOURNAL, SOURCE_FOLDER})


def _is_same_file(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.lstat())
    except OSError:
        return False


def _remove_empty(path: Path) -> None:
    with suppress(OSError):
        shutil.rmtree(path / SOURCE_FOLDER, ignore_errors=True)
        (path / JOURNAL).unlink()
        path.rmdir()


class PartialOutput:
    """Files in the making.

    Attributes:
        path: The folder `OUT.partial` beside OUT, so that renaming is one step.
        done: Numbers of the finished pieces.
    """

    def __init__(
        self,
        final: Final,
        *,
        files: Sequence[OutputFile],
        pieces: Sequence[Sequence[Extent]],
        claim: Claim | None = None,
    ) -> None:
        """Name the folder; nothing is written yet.

        Args:
            final: Where everything goes in the end.
            files: All files that pieces write to.
            pieces: What each piece writes, in an order that depends on the key only.
            claim: The folder, where it is held already.
        """
        self.path = partial_path(final.out)
        self.done: set[int] = set()
        self._final = final
        self._output_files, self._pieces = files, pieces
        self._files = OpenFiles(self.path, ())
        self._claim = claim
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
            UsageError: The folder belongs to another conversion, or one that is running, or the output's place is
                taken.
            OutputError: The disk has too little room, or fails.
            KeyboardInterrupt: The user interrupted, with a line that says how to go on.
        """
        first_line = _first_line({**key, _LAYOUT: self._hash_layout()})
        if not (self.path / JOURNAL).exists() and not (self._final.out / JOURNAL).exists():
            self._check_space(extra_bytes)  # before there is a folder that would have to be deleted
        with ExitStack() as stack:
            stack.enter_context(explain_interrupt(self.path))
            claim = self._claim or stack.enter_context(claim_partial(self._final.out))
            self._journal = claim.journal
            stack.callback(self._close_files)
            self._final.take_back(self.path)
            self._final.check()
            with explain_disk_errors(self.path):
                recorded = self._read_journal(first_line)
                self._prepare_files()
                self._check_pieces(recorded, on_kept)
            self._check_space(extra_bytes)
            yield self

    def record(self, number: int, digest: str) -> None:
        """Note in the journal that a piece is written.

        Raises:
            OutputError: The disk is full or fails.
        """
        line = json.dumps({"piece": number, "sha256": digest}) + "\n"
        with explain_disk_errors(self.path):
            write_all(self._journal, memoryview(line.encode()), os.lseek(self._journal, 0, os.SEEK_END))
        self.done.add(number)

    def finish(self, companions: Sequence[str] = ()) -> None:
        """Give everything its final name.

        Args:
            companions: Names of the files beside those that pieces write to.

        Raises:
            OutputError: A name was taken meanwhile, or the disk fails.
        """
        with explain_disk_errors(self.path):
            self._files.flush()
        self._final.finish(self.path, [*(file.name for file in self._output_files), *companions])

    def discard(self, companions: Sequence[str] = ()) -> None:
        """Remove what was made: it cannot be trusted, and nothing may go on with it."""
        with explain_disk_errors(self.path):
            os.ftruncate(self._journal, 0)
            self._close_files()
            for name in (*(file.name for file in self._output_files), *companions):
                (self.path / name).unlink(missing_ok=True)
        self.done.clear()

    def _close_files(self) -> None:
        self._files.close()

    def _hash_layout(self) -> str:
        digest = hashlib.sha256(repr([[*map(str, piece)] for piece in self._pieces]).encode())
        for file in self._output_files:
            digest.update(f"{file.name} {file.num_bytes}".encode() + file.head)
        return digest.hexdigest()

    def _read_journal(self, first_line: bytes) -> dict[int, str]:
        """Return the finished pieces; begin a new journal where there is none.

        Lines that say nothing are passed over: their pieces are done again.
        """
        size = os.fstat(self._journal).st_size
        if size > len(first_line) + _MOST_LINE_BYTES * (len(self._pieces) + 1000):
            raise UsageError(
                f"{self.path / JOURNAL}: expected the journal of this conversion, found {size:,} bytes. {_OR}"
            )
        text = os.pread(self._journal, size, 0)
        lines = text[: text.rfind(b"\n") + 1].splitlines()  # the last line may be cut
        if not lines:
            os.ftruncate(self._journal, 0)
            write_all(self._journal, memoryview(first_line + b"\n"), 0)
            return {}
        if lines[0] != first_line:
            difference = _describe_difference(lines[0], first_line)
            raise UsageError(f"{self.path} holds an unfinished conversion with {difference}. {_OR}")
        os.ftruncate(self._journal, sum(len(line) + 1 for line in lines))
        entries = (_read_entry(line, num_pieces=len(self._pieces)) for line in lines[1:])
        return dict(entry for entry in entries if entry is not None)

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


def _first_line(key: Mapping[str, str]) -> bytes:
    return json.dumps({"key": dict(sorted(key.items()))}).encode()


def _read_entry(line: bytes, *, num_pieces: int) -> tuple[int, str] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    number, digest = (entry.get("piece"), entry.get("sha256")) if isinstance(entry, dict) else (None, None)
    if type(number) is not int or not 0 <= number < num_pieces or not isinstance(digest, str):
        return None
    return number, digest


def _describe_difference(former_line: bytes, line: bytes) -> str:
    key = json.loads(line)["key"]
    try:
        former = dict(json.loads(former_line)["key"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return "an unreadable journal"
    names = [name for name in sorted({*map(str, former), *key}) if former.get(name) != key.get(name)]
    told = [name for name in names if name != _LAYOUT] or names  # the layout follows from the others
    return f"another {' and '.join(told)}"[:200]
