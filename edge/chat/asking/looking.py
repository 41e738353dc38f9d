"""Find out what a dropped or named thing is, before it is asked about: picture, video, document, or neither.

In: a path, bytes or a data URL. Out: its kind and a line about it, or one line that says what can be done with it.
What decodes decides, not the name.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from edge.chat.border import shown
from edge.errors import MediaError
from edge.prompt.media.heads import is_video_head
from edge.prompt.media.source import open_source, typed_source
from edge.records import dataclass

Kind = Literal["image", "video", "pdf"]
Source = Path | bytes | str
"""A path, the bytes themselves, or a data URL."""
HEAD_BYTES = 64


class NotMediaError(MediaError):
    """A file is no picture, video or document."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What something is.

    Attributes:
        kind: Picture, video (animations too) or document.
        detail: Size and frames, for a line to the user.
    """

    kind: Kind
    detail: str


def look(source: Source, *, name: str, wanted: Kind | None = None) -> Looked:
    """Look at a picture, video or document, and decode enough of it to know that it can be read.

    Args:
        source: Where it is.
        name: What the user calls it.
        wanted: What the user says it is; other kinds are refused with the right option.

    Raises:
        MediaError: It is something else, or broken; the message says what can be done.
    """
    kind = wanted if wanted in ("image", "video") else guess_kind(source, name=name)
    if wanted is not None and kind != wanted:
        raise MediaError(f"{name}: expected a PDF, found something else. Show pictures with --image or /image.")
    if kind == "pdf":
        return Looked(kind, "")
    label = name if not isinstance(source, Path) else str(source)
    if kind == "image":
        return Looked(kind, _look_at_picture(source, label))
    return Looked(kind, _look_at_video(source, label))


def guess_kind(source: Source, *, name: str) -> Kind:
    """Tell what something is by its first bytes.

    Raises:
        MediaError: It is nothing that can be shown, or cannot be read.
    """
    with open_source(source, label=name) as file:
        head = file.read(HEAD_BYTES)
    if b"%PDF-" in head:
        return "pdf"
    if is_video_head(head):
        return "video"
    try:
        return "video" if _is_animation(source, name) else "image"
    except MediaError:
        if not _has_picture_head(head):
            raise NotMediaError(f"{name}: no picture, video or PDF. {_advice(head, name)}") from None
        raise


def is_media_name(name: str) -> bool:
    """Whether a file's name ends as pictures, videos and documents do."""
    return _SUFFIX.fullmatch(os.path.splitext(name)[1]) is not None


_PICTURES = "png|jpg|jpeg|jpe|webp|gif|apng|bmp|tif|tiff|heic|heif|avif|ico|ppm|pgm|tga|qoi|jp2"
_OTHERS = "pdf|mp4|m4v|mov|mkv|webm|avi|mpg|mpeg|ts|wmv|flv|3gp"
_SUFFIX = re.compile(rf"\.({_PICTURES}|{_OTHERS})", re.I)


def _look_at_picture(source: Source, label: str) -> str:
    from edge.prompt.media.picture import load_image

    height, width = load_image(source, label=label).shape[:2]
    return f"{width}x{height}"


def _look_at_video(source: Source, label: str) -> str:
    from edge.prompt.media.opening import open_video

    video = open_video(source, label=label)
    try:
        starts = video.timeline.starts
        return f"{video.width}x{video.height}, {video.timeline.end - starts[0]:.1f} s, {len(starts)} frames"
    finally:
        video.close()


def _is_animation(source: Source, name: str) -> bool:
    from edge.prompt.media.picture import ANIMATED_FORMATS, count_frames, open_picture

    picture = open_picture(source, label=name)
    return picture.format in ANIMATED_FORMATS and count_frames(picture, name) > 1


def _has_picture_head(head: bytes) -> bool:
    """Whether it claims to be a picture, so that the decoder's own words help more."""
    return head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*")) or (
        head[4:8] == b"ftyp" or head[8:12] == b"WEBP"
    )


def _advice(head: bytes, name: str) -> str:
    is_text = not any(byte < 9 or 13 < byte < 32 for byte in head)
    if head[:2] == b"PK":
        return "Save a document as PDF, or unpack an archive, and give that."
    if is_text:
        return f'To ask about its text, pipe it in: edge.chat "QUESTION" < {shown(name)}'
    return "Convert it to PNG, JPEG, MP4 or PDF."


def as_source(text: str) -> Source:
    """Turn what was typed as a file into a source: a data URL as it is, anything else a path.

    Raises:
        MediaError: It is an address, or cannot be a path.
    """
    return typed_source(text, label="file")


def name_of(source: Source, *, otherwise: str) -> str:
    """Name a source for the user: its file's name, or what it is."""
    return shown(source.name) if isinstance(source, Path) else otherwise
