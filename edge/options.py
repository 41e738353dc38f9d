"""Say how pictures and videos of a request are read: limits, rates, and the pictures themselves with their own limits.

In: numbers; None keeps the checkpoint's setting. Out: plain mappings for `edge.prompt`, which checks them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, TypeVar, Union

from edge.errors import RequestError
from edge.records import dataclass

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image as Pillow

T = TypeVar("T")
# Unions of quoted names: neither numpy nor Pillow is imported for a question without pictures.
ImageSource: TypeAlias = Union[str, Path, bytes, BinaryIO, "Pillow.Image", "np.ndarray[Any, Any]"]
VideoSource: TypeAlias = Union[str, Path, bytes, BinaryIO, Sequence[ImageSource], "np.ndarray[Any, Any]"]


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """Limits for pictures.

    Attributes:
        min_pixels: Smaller pictures are enlarged to at least this many pixels.
        max_pixels: Larger pictures are shrunk to at most this many pixels.
        min_tokens: The same in visual tokens.
        max_tokens: The same in visual tokens.
    """

    min_pixels: int | None = None
    max_pixels: int | None = None
    min_tokens: int | None = None
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class VideoOptions:
    """Limits and rates for videos.

    Attributes:
        min_pixels: Least frames x height x width after resizing.
        max_pixels: Most frames x height x width after resizing.
        fps: Frames taken per second.
        min_frames: Frames taken at least, if the video has them.
        max_frames: Frames taken at most.
    """

    min_pixels: int | None = None
    max_pixels: int | None = None
    fps: float | None = None
    min_frames: int | None = None
    max_frames: int | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """A picture with limits of its own.

    Attributes:
        source: Path, data URL, bytes, binary file object, PIL picture, or uint8 array (H, W[, 1 | 3 | 4]).
        options: Its limits, also as a mapping; they win over the request's.
    """

    source: ImageSource
    options: ImageOptions | Mapping[str, Any] = ImageOptions()

    def __post_init__(self) -> None:
        """Turn a mapping into its class."""
        object.__setattr__(self, "options", options_of(ImageOptions, self.options, field="options") or ImageOptions())

    def part(self) -> dict[str, Any]:  # Any: a JSON part, but for the source
        """Return the part of a message's content."""
        return {"type": "image", "image": self.source, **given(self.options)}


@dataclass(frozen=True, slots=True)
class Video:
    """A video with limits of its own.

    Attributes:
        source: A file as for `Image`, or a list of frames (each a picture source).
        options: Its limits, also as a mapping; they win over the request's.
        frame_rate: Frames per second of a list of frames.
        times_s: Seconds of each frame of a list, instead of a rate.
    """

    source: VideoSource
    options: VideoOptions | Mapping[str, Any] = VideoOptions()
    frame_rate: float | None = None
    times_s: Sequence[float] | None = None

    def __post_init__(self) -> None:
        """Turn a mapping into its class."""
        object.__setattr__(self, "options", options_of(VideoOptions, self.options, field="options") or VideoOptions())

    def part(self) -> dict[str, Any]:  # Any: as above
        """Return the part of a message's content."""
        times = {"frame_rate": self.frame_rate, "times_s": self.times_s}
        return {
            "type": "video",
            "video": self.source,
            **given(self.options),
            **{key: value for key, value in times.items() if value is not None},
        }


def given(options: object) -> dict[str, Any]:  # Any: values of options
    """Return the fields of an options object that are set."""
    values = {field.name: getattr(options, field.name) for field in fields(options)}  # type: ignore[arg-type]
    return {name: value for name, value in values.items() if value is not None}


def options_of(kind: type[T], value: T | Mapping[str, Any] | None, *, field: str) -> T | None:
    """Take options as their class or as a mapping, which is how JSON has them; a null in it counts as not given.

    Raises:
        RequestError: It is neither, or has an unknown key.
    """
    if value is None or isinstance(value, kind):
        return value
    known = [one.name for one in fields(kind)]  # type: ignore[arg-type]  # every kind is a dataclass
    if not isinstance(value, Mapping):
        raise RequestError(
            f"{field}: expected {kind.__name__} or a mapping, found {type(value).__name__}.", field=field
        )
    unknown = sorted(str(key) for key in value if key not in known)
    if unknown:
        raise RequestError(f"{field}: unknown {', '.join(unknown)}. Known: {', '.join(known)}.", field=field)
    return kind(**{str(key): one for key, one in value.items() if one is not None})
