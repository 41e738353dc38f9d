"""Give a finished output its final name: the last step, which may fail and may be killed like any other.

In: the folder of an unfinished output with everything in it, its journal included. Out: OUT. The journal goes after the
files have their names, so that whatever fails before leaves an output that the same command takes up.
"""

from __future__ import annotations

import filecmp
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from convert.disk import OutputError, explain_disk_errors
from edge.errors import UsageError

JOURNAL = ".journal.jsonl"
KEY_START = b'{"key": '  # how a journal begins
_MOVING = b'{"moving": true}\n'  # the last line, before the first of several files gets its name


class Final(Protocol):
    """Where an output goes."""

    @property
    def out(self) -> Path:
        """Its name, as the user gave it."""
        ...

    def check(self) -> None:
        """Refuse places that are taken. Raises UsageError."""
        ...

    def take_back(self, partial: Path) -> None:
        """Undo a last step that was cut short. Raises OutputError."""
        ...

    def finish(self, partial: Path, names: Sequence[str]) -> None:
        """Move the files to their places and remove the journal. Raises OutputError."""
        ...


class FinalFolder:
    """A folder that gets its name in one step."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def check(self) -> None:
        """Refuse an output folder that holds something.

        Raises:
            UsageError: There is a link, a file, or a folder that is not empty.
        """
        check_out(self.out)

    def take_back(self, partial: Path) -> None:
        """Do nothing: `take_back_folder` has done it before the folder was claimed."""

    def finish(self, partial: Path, names: Sequence[str]) -> None:
        """Rename the folder; one that is empty gives way in the same step.

        Raises:
            OutputError: The name was taken meanwhile, or the disk fails.
        """
        try:
            os.rename(partial, self.out)
        except OSError as error:
            raise OutputError(
                f"{self.out}: cannot get its name ({error.strerror}); something took it while the conversion ran. "
                f"Everything is kept in {partial}: move {self.out} away and run the same command again."
            ) from None
        with explain_disk_errors(self.out):
            (self.out / JOURNAL).unlink()


class FinalFiles:
    """Files beside others in a folder of the user's."""

    def __init__(
        self,
        out: Path,
        names: Sequence[str],
        *,
        is_replacing: bool = False,
        reusable: Sequence[str] = (),
        merged: Sequence[str] = (),
    ) -> None:
        """Name the files.

        Args:
            out: Stands for all of them.
            names: Files that must not be there.
            is_replacing: Whether they may be there after all.
            reusable: Of these, files that may be there when their bytes are the new ones.
            merged: Further files that may be there, since their new content holds the old one.
        """
        self.out = out
        self.reused: list[Path] = []
        self._names, self._merged = [*names, *merged], merged
        self._is_replacing, self._reusable = is_replacing, reusable

    def check(self) -> None:
        """Refuse files that are there.

        Raises:
            UsageError: There is a folder, a link, or a file that was not allowed to be replaced.
        """
        for name in self._names:
            path = self.out.with_name(name)
            if path.is_symlink():
                raise UsageError(f"{path} is a link. Choose another OUT, or delete it.")
            if path.is_dir() or (path.exists() and not self._may_stand(name)):
                raise UsageError(f"{path} exists. Choose another name, or give --overwrite to replace files.")

    def take_back(self, partial: Path) -> None:
        """Take back the files that a last step cut short has moved already."""
        with explain_disk_errors(partial):
            if not (partial / JOURNAL).read_bytes().endswith(_MOVING):
                return
            for name in self._names:
                path = self.out.with_name(name)
                if name in self._merged:
                    continue  # it is written anew, and is not the output's alone
                if not (partial / name).exists() and path.is_file() and not path.is_symlink():
                    path.rename(partial / name)

    def finish(self, partial: Path, names: Sequence[str]) -> None:
        """Move the files, then remove the journal and the folder.

        Raises:
            OutputError: A name was taken meanwhile, or the disk fails.
        """
        for name in self._reusable:
            path = self.out.with_name(name)
            if path.exists() and not self._is_replacing and not filecmp.cmp(path, partial / name, shallow=False):
                raise OutputError(
                    f"{path} exists and differs from what this conversion makes. Everything is kept in {partial}: move "
                    "that file away, or give --overwrite, and run the same command again."
                )
        try:
            self.check()
        except UsageError as error:
            raise OutputError(f"{error} Everything is kept in {partial}.") from None
        with explain_disk_errors(partial):
            with (partial / JOURNAL).open("ab") as journal:
                journal.write(_MOVING)
                journal.flush()
                os.fsync(journal.fileno())
            for name in names:
                path = self.out.with_name(name)
                if name in self._reusable and path.exists() and not self._is_replacing:
                    self.reused.append(path)
                    (partial / name).unlink()
                else:
                    (partial / name).replace(path)
            (partial / JOURNAL).unlink()
            if not any(partial.iterdir()):  # what the user has put there stays
                partial.rmdir()

    def _may_stand(self, name: str) -> bool:
        return self._is_replacing or name in self._reusable or name in self._merged


def check_out(out: Path) -> None:
    """Refuse an output folder that holds something; one with a journal is the end of a conversion of ours.

    Raises:
        UsageError: There is a link, a file, or a folder that is not empty.
    """
    if out.is_symlink():
        raise UsageError(f"{out} is a link. Choose another OUT, or delete it.")
    if out.is_dir() and (not any(out.iterdir()) or ((out / JOURNAL).is_file() and not partial_path(out).exists())):
        return
    if out.exists():
        raise _taken(out)


def take_back_folder(out: Path) -> None:
    """Undo a last step that was cut short between the new name and the removal of the journal.

    Raises:
        OutputError: The disk fails.
    """
    partial, journal = partial_path(out), out / JOURNAL
    if out.is_symlink() or partial.exists() or not journal.is_file():
        return
    with explain_disk_errors(out):
        with journal.open("rb") as file:
            is_ours = file.read(len(KEY_START)) == KEY_START
        if is_ours:
            out.rename(partial)


def partial_path(out: Path) -> Path:
    """Name the folder of an unfinished output."""
    return out.with_name(out.name + ".partial")


def _taken(out: Path) -> UsageError:
    return UsageError(f"{out} exists. Choose another OUT, or delete it.")
