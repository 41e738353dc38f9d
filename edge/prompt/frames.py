"""Open anything that is a video: a file, an animation, or a list of frames with times.

In: the source as a message names it. Out: a `FrameSource` that counts its frames first and then gives the wanted
ones, one at a time, so that a long video is never in memory as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Protocol

import numpy as np

from edge.errors import MediaError
from edge.prompt.media import DECODER_ERRORS, broken_picture, count_frames, load_image, open_picture, picture_to_rgb
from edge.prompt.source import open_source, source_label
from edge.prompt.types import Pixels

if TYPE_CHECKING:
    from PIL.Image import Image

# Browsers show frames of an animation that names no duration for a tenth of a second.
DEFAULT_FRAME_S = 0.1
MAX_ANIMATION_FRAMES = 100_000
# Over all frames, which are decoded one after the other: some minutes of work.
MAX_ANIMATION_PIXELS = 50_000_000_000
STILL_SIGNATURES = (b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*")
ANIMATION_SIGNATURES = (b"GIF8", b"\x89PNG")


class FrameSource(Protocol):
    """A video before sampling.

    Attributes:
        label: Name for messages.
        num_frames: Frames it has.
        frame_rate: Frames per second, on average.
        height: Rows of a frame.
        width: Columns of a frame.
        is_chosen: The user chose these frames; they are sampled only if a request names a rate.
    """

    label: str
    num_frames: int
    frame_rate: float
    height: int
    width: int
    is_chosen: bool

    def times_s(self, indexes: Sequence[int]) -> list[float]:
        """Give the times of frames, in seconds."""
        ...

    def read(self, indexes: Sequence[int]) -> Iterator[Pixels]:
        """Give the frames (H, W, 3) uint8 of increasing indexes, one at a time.

        Raises:
            MediaError: A frame cannot be read.
            FrameCountError: There are fewer or more frames than were counted.
        """
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class FrameCountError(Exception):
    """Decoding gave another number of frames than the container promised; `found` is right."""

    def __init__(self, found: int) -> None:
        super().__init__(found)
        self.found = found


def open_video(
    source: object,
    *,
    label: str = "video",
    frame_rate: float | None = None,
    times_s: Sequence[float] | None = None,
    allow_files: bool = True,
) -> FrameSource:
    """Open a video.

    Args:
        source: What `load_image` takes for a file (any container PyAV reads, GIF, WebP, APNG), or a list of pictures,
            or a uint8 array (T, H, W, 3).
        label: Name for messages when the source has none.
        frame_rate: For lists: frames per second at which they were taken.
        times_s: For lists: the time of each frame instead, increasing.
        allow_files: Refuse paths when False.

    Raises:
        MediaError: It cannot be opened, or a list comes without times.
    """
    if isinstance(source, list | tuple) or (isinstance(source, np.ndarray) and source.ndim == 4):
        return FrameList(source, label, frame_rate, times_s, allow_files)
    label = source_label(source, label)
    if frame_rate is not None or times_s is not None:
        raise MediaError(f"{label}: frame_rate and times_s are for lists of frames; a file has its own.")
    from PIL import Image

    if isinstance(source, Image.Image):
        return Animation(source, label)
    file = open_source(source, label=label, allow_files=allow_files)
    head = file.read(16)
    file.seek(0)
    if head.startswith(STILL_SIGNATURES):
        file.close()
        raise MediaError(f"{label}: is a still picture, expected a video. Pass it as an image.")
    if head.startswith(ANIMATION_SIGNATURES) or head[8:12] == b"WEBP":
        with file:
            return Animation(open_picture(file, label=label), label)
    from edge.prompt.video_file import VideoFile

    return VideoFile(file, label)


@dataclass(init=False)
class FrameList:
    """Frames the user chose, with a rate or times."""

    label: str
    num_frames: int
    frame_rate: float
    height: int
    width: int
    is_chosen: bool = True

    def __init__(
        self,
        frames: Sequence[object] | Pixels,
        label: str,
        frame_rate: float | None,
        times_s: Sequence[float] | None,
        allow_files: bool,
    ) -> None:
        self.label, self._frames, self._allow_files = label, frames, allow_files
        self.num_frames = len(frames)
        if (frame_rate is None) == (times_s is None):
            raise MediaError(
                f"{label}: a list of frames needs either frame_rate (frames per second) or times_s (seconds of each)."
            )
        self._times = _checked_times(times_s, self.num_frames, label) if times_s is not None else None
        if self.num_frames == 0:
            raise MediaError(f"{label}: the list of frames is empty.")
        self.frame_rate = _average_rate(self._times) if self._times else _checked_rate(frame_rate, label)
        self.height, self.width = self._load(0).shape[:2]

    def times_s(self, indexes: Sequence[int]) -> list[float]:
        """Give the times of frames, in seconds."""
        return [self._times[i] if self._times is not None else i / self.frame_rate for i in indexes]

    def read(self, indexes: Sequence[int]) -> Iterator[Pixels]:
        """Give the frames of increasing indexes, one at a time."""
        for index in indexes:
            frame = self._load(index)
            if frame.shape[:2] != (self.height, self.width):
                found = f"{frame.shape[1]}x{frame.shape[0]}"
                raise MediaError(
                    f"{self.label}: all frames should have the same size, but frame 0 has "
                    f"{self.width}x{self.height} pixels and frame {index} has {found}."
                )
            yield frame

    def close(self) -> None:
        """Do nothing: there is no file to close."""

    def _load(self, index: int) -> Pixels:
        return load_image(self._frames[index], label=f"{self.label}, frame {index}", allow_files=self._allow_files)


@dataclass(init=False)
class Animation:
    """A GIF, WebP or APNG with more than one frame."""

    label: str
    num_frames: int
    frame_rate: float
    height: int
    width: int
    is_chosen: bool = False

    def __init__(self, picture: Image, label: str) -> None:
        self.label, self._picture = label, picture
        self.num_frames = count_frames(picture, label)
        if self.num_frames < 2:
            raise MediaError(f"{label}: has one frame, expected a video. Pass it as an image.")
        if self.num_frames > MAX_ANIMATION_FRAMES:
            raise MediaError(f"{label}: has {self.num_frames} frames, at most {MAX_ANIMATION_FRAMES} are read.")
        if self.num_frames * picture.size[0] * picture.size[1] > MAX_ANIMATION_PIXELS:
            size = f"{picture.size[0]}x{picture.size[1]}"
            raise MediaError(f"{label}: {self.num_frames} frames of {size} pixels are too many. Make it smaller first.")
        durations = list(self._durations())
        self._starts = [0.0, *accumulate(durations)]
        self.frame_rate = self.num_frames / self._starts[-1]
        self.width, self.height = picture.size

    def times_s(self, indexes: Sequence[int]) -> list[float]:
        """Give the times of frames, in seconds."""
        return [self._starts[i] for i in indexes]

    def read(self, indexes: Sequence[int]) -> Iterator[Pixels]:
        """Give the frames of increasing indexes, one at a time."""
        try:
            for index in indexes:
                self._picture.seek(index)
                yield picture_to_rgb(self._picture)
        except DECODER_ERRORS as error:
            raise broken_picture(self.label, error) from None

    def close(self) -> None:
        """Do nothing: there is no file to close."""

    def _durations(self) -> Iterator[float]:
        try:
            for index in range(self.num_frames):
                self._picture.seek(index)
                if self._picture.format == "WEBP":
                    self._picture.load()  # WebP knows a frame's duration only once it is decoded
                milliseconds = self._picture.info.get("duration") or 0
                yield milliseconds / 1000 if milliseconds > 0 else DEFAULT_FRAME_S
        except DECODER_ERRORS as error:
            raise broken_picture(self.label, error) from None


def _average_rate(times: list[float]) -> float:
    length = times[-1] - times[0]
    return (len(times) - 1) / length if length > 0 else 1.0


def _checked_rate(frame_rate: object, label: str) -> float:
    try:
        rate = float(frame_rate)  # type: ignore[arg-type]  # qwen-vl-utils writes rates as text
    except (TypeError, ValueError):
        rate = math.nan
    if not (math.isfinite(rate) and rate > 0):
        raise MediaError(f"{label}: frame_rate should be a positive number of frames per second, found {frame_rate!r}.")
    return rate


def _checked_times(times_s: object, num_frames: int, label: str) -> list[float]:
    times = list(times_s) if isinstance(times_s, list | tuple | np.ndarray) else []
    is_numbers = all(isinstance(time, int | float | np.number) and math.isfinite(time) and time >= 0 for time in times)
    if len(times) != num_frames or not is_numbers or any(b < a for a, b in pairwise(times)):
        raise MediaError(
            f"{label}: times_s should be {num_frames} increasing seconds, one for each frame, "
            f"found {str(times_s)[:80]}."
        )
    return [float(time) for time in times]
