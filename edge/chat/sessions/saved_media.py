"""Copies of a talk's pictures and videos beside it, named by the digest of their bytes.

In: a source. Out: the path of the copy. A talk goes on with its copies, whatever becomes of the originals; the same
bytes are copied once.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path

from edge.chat.asking.looking import Source
from edge.chat.sessions.folder import make_private
from edge.prompt.media.source import is_data_url, read_bytes

FOLDER = "media"
_NAME = re.compile(r"[0-9a-f]{64}(\.[a-z0-9]{1,5})?")
_SUFFIX = re.compile(r"\.[a-z0-9]{1,5}")
_HEADS = ((b"\x89PNG", ".png"), (b"\xff\xd8\xff", ".jpg"), (b"GIF8", ".gif"))


def copy_in(source: Source, folder: Path) -> Path:
    """Copy a picture or video into a talk's folder.

    Args:
        source: A path, bytes, or a data URL.
        folder: Of the talk.

    Returns:
        The copy's path.

    Raises:
        OSError: It cannot be read or written.
        MediaError: The data URL is broken.
    """
    media = folder / FOLDER
    make_private(media)
    if isinstance(source, Path):
        with source.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        suffix = source.suffix.lower()
        target = media / (digest + (suffix if _SUFFIX.fullmatch(suffix) else ""))
        if not target.exists():
            _write(target, lambda path: shutil.copyfile(source, path))
        return target
    data = read_bytes(source, label="picture") if isinstance(source, str) and is_data_url(source) else source
    assert isinstance(data, bytes), "a source is a path, bytes, or a data URL"
    suffix = next((suffix for head, suffix in _HEADS if data.startswith(head)), "")
    target = media / (hashlib.sha256(data).hexdigest() + suffix)
    if not target.exists():
        _write(target, lambda path: path.write_bytes(data))
    return target


def stored_name(path: Path) -> str:
    """Write a copy's path as the talk's file has it."""
    return f"{FOLDER}/{path.name}"


def find_copy(name: str, folder: Path) -> Path | None:
    """Return the path of a copy named in a talk's file; None for any other name, which could lead elsewhere."""
    head, _, rest = name.partition("/")
    if head != FOLDER or not _NAME.fullmatch(rest):
        return None
    return folder / FOLDER / rest


def _write(target: Path, write: object) -> None:
    assert callable(write), "write makes the file"
    temporary = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        write(temporary)
        temporary.chmod(0o600)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
