"""Save a talk as it goes, one JSON object per line, so that nothing is lost when the program ends.

In: messages. Out: a `.jsonl` file whose lines are messages (role, content, reasoning_content) with their time.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from edge.errors import EdgeError, UsageError


class Transcript:
    """A file that grows with the talk; it appears with the first message."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, message: Mapping[str, Any]) -> None:  # Any: a JSON message
        """Append a message and flush it to the disk.

        Raises:
            EdgeError: The file cannot be written.
        """
        line = json.dumps({"time": datetime.now().isoformat(timespec="seconds"), **message}, ensure_ascii=False)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise EdgeError(
                f"{self.path}: the talk cannot be saved there ({error.strerror}). Use --save FILE."
            ) from error

    def copy_to(self, path: Path) -> None:
        """Write what was said so far to another file, which must not exist.

        Raises:
            UsageError: It exists, or nothing was said yet.
            EdgeError: It cannot be written.
        """
        if not self.path.exists():
            raise UsageError("Nothing was said yet, so there is nothing to save.")
        if path.exists():
            raise UsageError(f"{path} exists. Choose another name.")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.path, path)
        except OSError as error:
            raise EdgeError(f"{path}: cannot be written ({error.strerror}). Choose another place.") from error


def new_transcript_path() -> Path:
    """Name a file for a new talk in the user's data folder."""
    folder = data_folder() / "chats"
    stem = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    path, count = folder / f"{stem}.jsonl", 1
    while path.exists():
        count += 1
        path = folder / f"{stem}_{count}.jsonl"
    return path


def data_folder() -> Path:
    """Return the folder for this program's data: EDGE_DATA, or the system's place for a user's data."""
    if given := os.environ.get("EDGE_DATA"):
        return Path(given)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "qwen3vl-edge"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "qwen3vl-edge"
