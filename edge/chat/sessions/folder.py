"""Where this program's data lie, readable by their owner only."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def data_folder() -> Path:
    """Return the folder for this program's data: EDGE_DATA, or the system's place for a user's data."""
    if given := os.environ.get("EDGE_DATA"):
        return Path(given)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "qwen3vl-edge"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "qwen3vl-edge"


def sessions_folder() -> Path:
    """Return the folder with one folder a talk."""
    return data_folder() / "talks"


def kept_folder() -> Path:
    """Return the folder for keys and values of finished turns."""
    return data_folder() / "kept"


def with_tilde(path: Path) -> str:
    """Write a path as a person would."""
    try:
        return str(Path("~") / path.relative_to(Path.home()))
    except (ValueError, RuntimeError):
        return str(path)


def make_private(folder: Path) -> None:
    """Make a folder that only its owner may enter.

    Raises:
        OSError: It cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)


def append_private(path: Path, line: str) -> None:
    """Append a line to a file that only its owner may read, in one write; a torn line before it is ended.

    Raises:
        OSError: It cannot be written.
    """
    data = (line + "\n").encode("utf-8", "backslashreplace")
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":
            data = b"\n" + data
        written = os.write(file, data)
        if written < len(data):
            os.ftruncate(file, max(0, os.fstat(file).st_size - written))
            raise OSError(28, "No space left on device", str(path))
    finally:
        os.close(file)
