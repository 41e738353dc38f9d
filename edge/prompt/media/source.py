"""Get at the bytes of a picture or video that a prompt names, offline and within limits.

In: path, file URL, data URL, bytes or file object. Out: bytes, or an open file; every failure is one line.
"""

from __future__ import annotations

import base64
import binascii
import io
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias
from urllib.parse import unquote, unquote_to_bytes, urlsplit
from weakref import WeakKeyDictionary

from edge.errors import MediaError
from edge.units import one_line

Source: TypeAlias = "str | Path | bytes | bytearray | memoryview | BinaryIO"

MAX_IMAGE_BYTES = 256 << 20
MAX_VIDEO_BYTES = 16 << 30
# A video that does not lie in a file must fit into memory.
MAX_MEMORY_VIDEO_BYTES = 1 << 30
SHOWN_CHARACTERS = 80
DATA_URL = "data:image/png;base64,..."
_MOST_OF_A_REASON = 200  # characters of the system's own message
_BASE64 = re.compile(r"[A-Za-z0-9+/]{120,}={0,2}")
_BASE64_BYTES = re.compile(rb"[A-Za-z0-9+/]{60,}")  # a first line of it
ADDRESS = re.compile("([a-z][a-z0-9+.-]+):(//)?", re.I)
# What pathlib makes of an address: the slashes of `http://` become one.
FOLDED_ADDRESS = re.compile("data:[^/]*[/;,]|(https?|ftp|file):/", re.I)
_REMEMBERED: WeakKeyDictionary[Any, bytes] = WeakKeyDictionary()  # Any: file objects of every kind


def read_bytes(source: object, *, label: str, allow_files: bool = True, max_bytes: int = MAX_IMAGE_BYTES) -> bytes:
    """Read a source into memory.

    Args:
        source: Path, file or data URL, bytes, or binary file object.
        label: Name for messages.
        allow_files: Refuse paths when False, for requests from elsewhere.
        max_bytes: Larger sources are refused.

    Raises:
        MediaError: It cannot be read, is empty or too large, or is not a local source.
    """
    with open_source(source, label=label, allow_files=allow_files, max_bytes=max_bytes) as file:
        return _read_limited(file, label, max_bytes)


def open_source(source: object, *, label: str, allow_files: bool = True, max_bytes: int = MAX_VIDEO_BYTES) -> BinaryIO:
    """Open a source for reading from its start; the caller closes it.

    Raises:
        MediaError: As `read_bytes`.
    """
    if isinstance(source, str) and is_data_url(source):
        return io.BytesIO(_read_data_url(source, label))
    if isinstance(source, str | Path):
        if not allow_files:
            raise MediaError(f"{label}: files of this computer may not be named here. Send a data URL.")
        return _open_path(as_path(source, label), max_bytes)
    if isinstance(source, bytes | bytearray | memoryview):
        if not len(source):
            raise MediaError(f"{label}: there are no bytes. Check where they come from.")
        return io.BytesIO(source)
    if is_file_object(source):
        return io.BytesIO(_read_again(source, label, min(max_bytes, MAX_MEMORY_VIDEO_BYTES)))
    raise MediaError(
        f"{label}: expected a path, a data URL, bytes, a file object or a picture, found {type(source).__name__}."
    )


def source_label(source: object, label: str) -> str:
    """Name a source by its path where it has one."""
    if names_file(source):
        return one_line(str(source), max_characters=SHOWN_CHARACTERS) or label
    return label


def names_file(source: object) -> bool:
    """Tell whether a source is a path or an address, rather than the data."""
    return isinstance(source, Path) or (isinstance(source, str) and not is_data_url(source))


def is_file_object(source: object) -> bool:
    """Tell whether a source can be read like an open file."""
    return callable(getattr(source, "read", None))


def is_data_url(source: str) -> bool:
    """Tell whether text carries the data itself."""
    return source[:5].lower() == "data:"


def is_base64(data: bytes) -> bool:
    """Tell whether bytes look like the text that base64 makes of a file, in lines or in one piece."""
    return _BASE64_BYTES.match(data) is not None


def typed_source(text: str, *, label: str = "picture or video") -> str | Path:
    """Turn what a person typed, dropped or pasted into a source, by the rules that hold for messages.

    Returns:
        A data URL as it is, or the path of a file.

    Raises:
        MediaError: It is an address, or cannot be a path.
    """
    return text if is_data_url(text) else as_path(text, label)


def as_path(source: str | Path, label: str) -> Path:
    """Turn a path or file URL into a path.

    Raises:
        MediaError: It is an address, or cannot be a path.
    """
    if isinstance(source, Path):
        if FOLDED_ADDRESS.match(str(source)):
            raise MediaError(
                f"{label}: expected a path, found an address or data URL that was turned into one, which breaks its "
                "slashes. Give it as text."
            )
        return source
    scheme = ADDRESS.match(source)
    if scheme and scheme[1].lower() == "file":
        return _file_url_path(source, label)
    if scheme and scheme[2]:
        raise MediaError(
            f"{source_label(source, label)}: addresses are not fetched. Download the file and give its path."
        )
    if not source or "\0" in source:
        raise MediaError(f"{label}: {source[:SHOWN_CHARACTERS]!r} is not a path. Give the path of a file.")
    try:
        return Path(source).expanduser()
    except RuntimeError:
        name = source_label(source, label)
        raise MediaError(f"{name}: there is no such user whose folder could be meant. Check the path.") from None


def _file_url_path(url: str, label: str) -> Path:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise MediaError(f"{source_label(url, label)}: is not a valid file URL. Give the path of a file.") from None
    if parts.netloc.lower() not in ("", "localhost"):
        raise MediaError(f"{source_label(url, label)}: names a file of another computer. Copy it here first.")
    path = os.fsdecode(unquote_to_bytes(parts.path))  # names need not be UTF-8
    if not path or "\0" in path:
        raise MediaError(f"{source_label(url, label)}: names no file. Give the path of a file.")
    return Path(path)


def _open_path(path: Path, max_bytes: int) -> BinaryIO:
    label = source_label(path, "")
    try:
        if path.is_dir():
            raise MediaError(f"{label}: is a folder, expected a file.")
        if path.exists() and not path.is_file():
            raise MediaError(f"{label}: is not a regular file. Save it as one first.")
        size = path.stat().st_size
        if size > max_bytes:
            raise MediaError(f"{label}: has {size} bytes, at most {max_bytes} are read. Make it smaller.")
        if size == 0:
            raise MediaError(f"{label}: the file is empty. Download or save it again.")
        return path.open("rb")
    except FileNotFoundError:
        raise MediaError(f"{label}: file not found. {_advice(path)}") from None
    except (OSError, ValueError, RuntimeError) as error:
        if _BASE64.fullmatch(str(path)):  # longer than a name may be
            raise MediaError(f"{label}: is no file. {_advice(path)}") from None
        raise MediaError(
            f"{label}: cannot be read ({one_line(str(error), max_characters=_MOST_OF_A_REASON)})."
        ) from None


def _advice(path: Path) -> str:
    if _BASE64.fullmatch(str(path)):
        return f"It looks like base64: give the bytes, or a data URL ({DATA_URL})."
    return "Check the path."


def _read_data_url(url: str, label: str) -> bytes:
    head, comma, body = url.partition(",")
    if not comma:
        raise MediaError(f"{label}: the data URL has no comma. Expected {DATA_URL}")
    if not head.lower().endswith(";base64"):
        data = unquote_to_bytes(body)
    else:
        try:
            text = "".join(unquote(body).split()).translate(str.maketrans("-_", "+/"))
            data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError) as error:
            raise MediaError(f"{label}: the data URL is not valid base64 ({error}). Encode it again.") from None
    if not data:
        raise MediaError(f"{label}: the data URL is empty. Encode the file again.")
    return data


def _read_again(file: Any, label: str, max_bytes: int) -> bytes:  # Any: any object with read() is welcome
    """Read a file object from where it stands, and leave it there: a later turn of the talk reads it again.

    What cannot be read twice, a pipe or a file closed since, is remembered as long as the object lives.
    """
    try:
        start = None if getattr(file, "closed", False) or not file.seekable() else file.tell()
    except (AttributeError, OSError, ValueError):
        start = None
    known = _known_bytes(file)
    if start is None and known is not None:
        return known
    data = _read_limited(file, label, max_bytes)
    if start is not None:
        file.seek(start)
    with suppress(TypeError):  # an object that cannot be referred to weakly
        _REMEMBERED[file] = data
    return data


def _known_bytes(file: Any) -> bytes | None:  # Any: as above
    try:
        return _REMEMBERED.get(file)
    except TypeError:
        return None


def _read_limited(file: Any, label: str, max_bytes: int) -> bytes:  # Any: as above
    try:
        data = file.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        raise MediaError(
            f"{label}: cannot be read ({one_line(str(error), max_characters=_MOST_OF_A_REASON)})."
        ) from None
    if not isinstance(data, bytes):
        raise MediaError(f"{label}: the file is open as text. Open it with mode 'rb'.")
    if len(data) > max_bytes:
        raise MediaError(f"{label}: has over {max_bytes} bytes, at most that many are read. Make it smaller.")
    if not data:
        raise MediaError(f"{label}: the file is empty or was read to its end. Rewind or save it again.")
    return data
