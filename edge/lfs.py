"""Tell the files that stand for others: a repository cloned without git-lfs holds pointers in the place of weights."""

from __future__ import annotations

from pathlib import Path

from edge.errors import WeightError

START = b"version https://git-lfs"


def refuse_pointer(start: bytes, path: Path) -> None:
    """Refuse a git-lfs pointer.

    Args:
        start: The first bytes of a file.
        path: The file.

    Raises:
        WeightError: It is a pointer.
    """
    if start.startswith(START):
        raise WeightError(
            f"{path}: a git-lfs pointer of a few lines, not the file itself; it was cloned without git-lfs. "
            "Run `git lfs pull` there, or download the file."
        )
