"""The one door for pictures, videos and files that clients name.

In: messages in OpenAI's shape, media as clients of several servers write them. Out: the same messages with one kind of
part for each, whose source is a data URL or the bytes themselves, so that the engine opens no file and no address.
Files lie below the media root; addresses are public and fetched only where the server was told to.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from edge.errors import MediaError
from edge.prompt.media.pdf import draw_pages
from edge.prompt.media.source import read_bytes
from edge.prompt.types import IMAGE_OPTIONS, VIDEO_OPTIONS
from edge.server.arguments import ServerOptions
from edge.server.errors import ApiError
from edge.server.fetch import FetchLimits, fetch

Json = Any
TEXT_TYPES = ("text", "input_text", "output_text", "refusal")
IMAGE_TYPES = ("image", "image_url", "input_image")
VIDEO_TYPES = ("video", "video_url", "input_video")
FILE_TYPES = ("file", "input_file", "document")
BESIDE_MEDIA = ("type", *IMAGE_TYPES, *VIDEO_TYPES, "url", "data", "detail", "format", "cache_control")
"""Keys of such a part that are read, or true of how this server works anyway: what data is, the data says."""
LOW_DETAIL_PIXELS = 512 * 512
"""What `detail: low` means to OpenAI: the picture within 512 by 512."""
MAX_FILE_BYTES = 1 << 30
MAX_FRAMES = 2048
FETCHED_BYTES = 256 << 20
FETCHED_S = 60.0
"""Bytes and seconds for all addresses of one request: dozens of slow ones would hold a thread for many minutes."""


class MediaDoor:
    """Opens what the messages of one request name, as far as the server's options allow; on one thread at a time."""

    def __init__(self, options: ServerOptions, *, fetch_url: Callable[[str, FetchLimits], bytes] | None = None) -> None:
        """Take the options.

        Args:
            options: What is allowed.
            fetch_url: Fetches an address; None takes `edge.server.fetch.fetch`.
        """
        self._root = options.media_root.resolve() if options.media_root else None
        self._is_remote_allowed = options.allows_remote_media
        self._max_media = options.limits.pictures
        self._fetch = fetch_url or (lambda url, limits: fetch(url, limits=limits))
        self._bytes_left = FETCHED_BYTES
        self._seconds_left = FETCHED_S
        self.opened: dict[str, str] = {}
        """Where parts of opened messages stood before, of those that moved: a PDF's pages are one part each."""

    def open_messages(self, messages: Sequence[Json]) -> list[Json]:
        """Return messages whose media are data.

        Raises:
            ApiError: A source may not be used, is of an unknown kind, or there are too many.
        """
        self._check_count(messages)
        opened, moved = [], {}
        for place, message in enumerate(messages):
            if isinstance(message, Mapping) and isinstance(message.get("content"), list):
                where = f"messages[{place}].content"
                parts: list[Json] = []
                for index, part in enumerate(message["content"]):
                    pieces = self._open_part(part, f"{where}[{index}]")
                    now = range(len(parts), len(parts) + len(pieces))
                    moved.update({f"{where}[{one}]": f"{where}[{index}]" for one in now if one != index})
                    parts += pieces
                message = {**message, "content": parts}
            opened.append(message)
        self.opened.update(moved)  # not before: until here, errors name the parts that were given
        return opened

    def _check_count(self, messages: Sequence[Json]) -> None:
        """Count before anything is opened."""
        contents = [one.get("content") for one in messages if isinstance(one, Mapping)]
        parts = [part for content in contents if isinstance(content, list) for part in content]
        count = sum(_kind_of(part) in (*IMAGE_TYPES, *VIDEO_TYPES, *FILE_TYPES) for part in parts)
        if count > self._max_media:
            raise ApiError(
                "invalid_request",
                f"messages: expected at most {self._max_media} pictures and videos, found {count}. Send fewer.",
                param="messages",
            )

    def _open_part(self, part: Json, where: str) -> list[Json]:
        if not isinstance(part, Mapping):
            return [part]  # the prompt's own check says what is wrong with it
        kind = _kind_of(part)
        if kind == "refusal":
            return [{"type": "text", "text": part.get("refusal")}]
        if kind in TEXT_TYPES:
            return [{"type": "text", "text": part.get("text")}]
        if kind in IMAGE_TYPES:
            return [self._media_part("image", part, where)]
        if kind in VIDEO_TYPES:
            return [self._media_part("video", part, where)]
        if kind in FILE_TYPES:
            return self._file_parts(part, where)
        known = ", ".join((*TEXT_TYPES, *IMAGE_TYPES, *VIDEO_TYPES, *FILE_TYPES))
        raise _wrong(where, f"the type should be one of {known}, found {str(kind)[:40]!r}")

    def _media_part(self, kind: str, part: Mapping[str, Json], where: str) -> dict[str, Json]:
        source, options = _source_and_options(kind, part, where)
        detail = options.pop("detail", None)
        if detail not in (None, "auto", "low", "high", "original"):
            raise _wrong(where, f"detail should be auto, low or high, found {str(detail)[:40]!r}")
        if detail == "low" and kind == "image":
            options.setdefault("max_pixels", LOW_DETAIL_PIXELS)
        known = IMAGE_OPTIONS if kind == "image" else VIDEO_OPTIONS
        options = {key: value for key, value in options.items() if key in known and value is not None}
        if kind == "video" and isinstance(source, list):
            if len(source) > MAX_FRAMES:
                raise _wrong(where, f"expected at most {MAX_FRAMES} frames, found {len(source)}")
            if "fps" in options and not {"frame_rate", "sample_fps", "times_s"} & set(options):
                options["frame_rate"] = options.pop("fps")  # of a list, this is the rate it was taken at
            return {"type": kind, kind: [self.open_source(frame, where) for frame in source], **options}
        return {"type": kind, kind: self.open_source(source, where), **options}

    def open_source(self, source: Json, where: str) -> str | bytes:
        """Return a source's data: a data URL as it is, or the bytes of a file or address.

        Args:
            source: What a client wrote.
            where: Its place, for messages.

        Raises:
            ApiError: It may not be used.
        """
        if not isinstance(source, str) or not source:
            found = "an empty text" if source == "" else type(source).__name__
            raise _wrong(where, f"expected a data URL, found {found}")
        if not source.isascii() and any("\ud800" <= one <= "\udfff" for one in source):
            raise _wrong(where, "expected a data URL, found text with half a character in it")
        scheme = source[:8].partition(":")[0].lower()
        if scheme == "data":
            return source
        if scheme == "file":
            return self._read_file(source, where)
        if scheme in ("http", "https"):
            if not self._is_remote_allowed:
                raise _not_allowed(
                    where, "addresses are not fetched by this server (--allow-remote-media). Send the data in base64."
                )
            return self._fetch_within_budget(source, where)
        raise _wrong(where, "expected a data URL (data:image/png;base64,...)")

    def _fetch_within_budget(self, url: str, where: str) -> bytes:
        """Fetch one of a request's addresses; all of them together have a bound too."""
        most, started = FetchLimits(), time.monotonic()
        if self._bytes_left <= 0 or self._seconds_left <= 0:
            why = f"addresses of one request may give {FETCHED_BYTES} bytes in {FETCHED_S:.0f} seconds, these gave more"
            raise _wrong(where, f"{why}. Send fewer, or data URLs")
        limits = replace(
            most, max_bytes=min(most.max_bytes, self._bytes_left), total_s=min(most.total_s, self._seconds_left)
        )
        try:
            data = self._fetch(url, limits)
        except ApiError as error:
            raise ApiError(error.kind, f"{where}: {error}", param=where, code=error.code) from None
        self._bytes_left -= len(data)
        self._seconds_left -= time.monotonic() - started
        return data

    def _read_file(self, url: str, where: str) -> bytes:
        """Read a file below the media root; outside of it, nothing is told, not even whether there is one."""
        if self._root is None:
            raise _not_allowed(where, "files are not opened by this server (--media-root). Send the data in base64.")
        refusal = _not_allowed(where, "expected a file below the server's media root, found none.")
        parts = urlsplit(url)
        name = unquote(parts.path)
        if parts.netloc not in ("", "localhost") or not name or "\0" in name:
            raise refusal
        try:
            path = Path(name).resolve(strict=True)
            if not path.is_relative_to(self._root) or not path.is_file():
                raise refusal
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_size > MAX_FILE_BYTES:
                    raise _wrong(where, f"expected a file of at most {MAX_FILE_BYTES} bytes")
                return file.read(MAX_FILE_BYTES)
        except (OSError, RuntimeError):
            raise refusal from None

    def _file_parts(self, part: Mapping[str, Json], where: str) -> list[Json]:
        """Open a file part: a PDF becomes one picture a page, text stays text, its name before it."""
        inner = part.get("file") if isinstance(part.get("file"), Mapping) else part
        assert isinstance(inner, Mapping)
        source = inner.get("file_data") or inner.get("file_url")
        if source is None:
            raise _wrong(where, "expected file_data with a data URL; uploaded files (file_id) are not kept here")
        data = self.open_source(source, where)
        name = str(inner.get("filename") or "file")[:80]
        try:
            content = read_bytes(data, label=name, allow_files=False)
            text = _plain_text(content)
            if text is not None:
                return [{"type": "text", "text": f"{name}:\n{text}\n"}]
            if not _is_pdf(content):
                advice = "A picture goes into image_url, a video into video_url"
                raise _wrong(where, f"{name}: expected a PDF or text, found another kind of file. {advice}")
            pages = draw_pages(content, label=name, max_pages=self._max_media)
        except MediaError as error:
            raise ApiError("invalid_request", f"{where}: {error}", param=where) from None
        return [{"type": "image", "image": page} for page in pages]


def idle_options(messages: Sequence[Json]) -> list[str]:
    """Name what stands beside pictures and videos and is no option of theirs, such as one that is misspelt."""
    found = []
    for place, message in enumerate(messages):
        content = message.get("content") if isinstance(message, Mapping) else None
        for index, part in enumerate(content if isinstance(content, list) else ()):
            kind = _kind_of(part)
            known = VIDEO_OPTIONS if kind in VIDEO_TYPES else IMAGE_OPTIONS if kind in IMAGE_TYPES else None
            if known is not None:
                where = f"messages[{place}].content[{index}]"
                found += [f"{where}.{key}" for key in _keys_of(part) if key not in (*known, *BESIDE_MEDIA)]
    return found


def _keys_of(part: Mapping[str, Json]) -> list[str]:
    """Return the keys of a part and of the object that its source is."""
    inner = [value for key, value in part.items() if key in (*IMAGE_TYPES, *VIDEO_TYPES) and isinstance(value, Mapping)]
    return [str(key) for one in (part, *inner) for key, value in one.items() if value is not None]


def _plain_text(content: bytes) -> str | None:
    """Return a file's text; None for a PDF and for what is no text."""
    if _is_pdf(content) or b"\0" in content:
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def _is_pdf(content: bytes) -> bool:
    return b"%PDF-" in content[:1024]  # it need not stand at the very start


def _kind_of(part: Json) -> Json:
    """Return a part's type; without one, the key that tells it."""
    if not isinstance(part, Mapping):
        return None
    kind = part.get("type")
    if kind is not None:
        return kind
    return next((name for name in (*IMAGE_TYPES, *VIDEO_TYPES, "text") if name in part), None)


def _source_and_options(kind: str, part: Mapping[str, Json], where: str) -> tuple[Json, dict[str, Json]]:
    """Split a part into its source and what stands beside it, in the part or in the source's own object."""
    types = IMAGE_TYPES if kind == "image" else VIDEO_TYPES
    names = [name for name in types if part.get(name) is not None]
    if not names and "file_id" in part:
        raise _wrong(where, f"uploaded files (file_id) are not kept here; send a data URL as {kind}_url")
    if len(names) != 1:
        raise _wrong(where, f"expected one {kind} under {kind}_url, found {len(names)}")
    source = part[names[0]]
    options = {key: value for key, value in part.items() if key not in ("type", names[0])}
    if isinstance(source, Mapping):
        options |= {key: value for key, value in source.items() if key not in ("url", "data")}
        data = source.get("data")
        if source.get("url") is None and isinstance(data, str):
            return data if data[:5].lower() == "data:" else f"data:;base64,{data}", options
        source = source.get("url")
    return source, options


def _wrong(where: str, why: str) -> ApiError:
    return ApiError("invalid_request", f"{where}: {why}.", param=where)


def _not_allowed(where: str, why: str) -> ApiError:
    return ApiError("invalid_request", f"{where}: {why}", param=where, code="media_not_allowed")
