"""Say what a video is before sampling, and make one of a list of pictures with a rate or times.

Out: a `FrameSource` that counts its frames first and then gives the wanted ones, one at a time, so that a long video
is never in memory as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np

from edge.errors import MediaError
from edge.prompt.media.picture import load_image
from edge.prompt.types import Pixels


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
