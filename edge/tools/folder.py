"""Read files and list folders below one folder, and nothing outside it: not by `..`, not by links."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from edge.errors import RequestError
from edge.tools.tool import Tool, function_tool

MAX_BYTES = 1 << 20
MAX_ENTRIES = 500


def folder_tools(root: Path, *, needs_consent: bool = False) -> list[Tool]:
    """Make `read_file` and `list_files` for what lies below a folder.

    Args:
        root: The folder.
        needs_consent: Whether the user is asked before each use.

    Raises:
        RequestError: It is no folder.
    """
    folder = root.expanduser()
    if not folder.is_dir():
        raise RequestError(f"tools: expected a folder, found {root}. Name one that is there.", field="tools")
    base = folder.resolve()

    def read_file(path: str, start_line: int = 1, num_lines: int = 400) -> str:
        """Read a text file.

        Args:
            path: The file, relative to the folder that list_files shows.
            start_line: The first line wanted, from 1.
            num_lines: How many lines are wanted at most.
        """
        lines = _read_text(base, path).splitlines()
        first = max(1, start_line)
        wanted = lines[first - 1 : first - 1 + max(0, num_lines)]
        rest = len(lines) - (first - 1 + len(wanted))
        tail = f"\n[{rest} more lines; go on with start_line {first + len(wanted)}]" if rest > 0 else ""
        return "\n".join(wanted) + tail

    def list_files(path: str = ".") -> str:
        """List the files and folders in a folder, one a line: name, and the size in bytes of a file.

        Args:
            path: The folder, relative to the one where reading is allowed; "." for that one.
        """
        return _list(base, path)

    return [
        function_tool(function, origin=f"built in, below {base}", needs_consent=needs_consent)
        for function in (read_file, list_files)
    ]


def _read_text(base: Path, path: str) -> str:
    found = _inside(base, path)
    # The file is opened once and looked at afterwards, so that nothing can be put in its place in between.
    try:
        handle = os.open(found, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise _refusal(path, error.strerror or "it cannot be opened") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _refusal(path, "it is no file")
    with os.fdopen(handle, "rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise _refusal(path, f"it has more than {MAX_BYTES} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _refusal(path, "it is no UTF-8 text") from None


def _list(base: Path, path: str) -> str:
    folder = _inside(base, path)
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise _refusal(path, error.strerror or "it cannot be listed") from None
    lines = []
    for entry in entries[:MAX_ENTRIES]:
        name = entry.name.encode("utf-8", "replace").decode()
        if entry.is_symlink():
            lines.append(f"{name} (a link)")
        elif entry.is_dir():
            lines.append(f"{name}/")
        else:
            lines.append(f"{name} {entry.stat(follow_symlinks=False).st_size}")
    if len(entries) > MAX_ENTRIES:
        lines.append(f"[{len(entries) - MAX_ENTRIES} more]")
    return "\n".join(lines) or "(empty)"


def _inside(base: Path, path: str) -> Path:
    """Return the real place of a path, all links followed; refuse one outside the folder."""
    if "\0" in path:
        raise _refusal(path.replace("\0", "?"), "it is no path")
    try:
        found = Path(os.path.realpath(base / path))
    except (OSError, ValueError) as error:
        raise _refusal(path, str(error)) from None
    if found != base and base not in found.parents:
        raise _refusal(path, "it lies outside the folder that may be read")
    return found


def _refusal(path: str, reason: str) -> RequestError:
    return RequestError(f"{path}: {reason}. list_files shows what is there.", field="path")
