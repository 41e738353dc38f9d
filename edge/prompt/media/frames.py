"""Say what a video is before sampling, and make one of a list of pictures with a rate or times.

Out: a `FrameSource` that counts its frames first and then gives the wanted ones, one at a time, so that a long video
is never in memory as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np

from edge.errors import MediaError
from edge.prompt.media.picture import load_image
from edge.prompt.types import Pixels
from edge.records import dataclass

# How far a frame may lie from its place in an even row: half its duration, but no more than anyone would notice.
EVEN_SHARE, EVEN_S = 0.5, 0.02


@dataclass(frozen=True, slots=True)
class Timeline:
    """When the frames of a video are shown.

    Attributes:
        starts: Second at which each frame appears, increasing.
        end: Second at which the last one disappears.
        rate: Frames per second, if they are evenly spaced.
    """

    starts: tuple[float, ...]
    end: float
    rate: float | None

    @classmethod
    def even(cls, num_frames: int, rate: float) -> Timeline:
        """Make a timeline of frames that follow each other at one rate."""
        return cls(tuple(index / rate for index in range(num_frames)), num_frames / rate, rate)

    @classmethod
    def of(cls, starts: Sequence[float], end: float | None = None, *, stated_rate: float | None = None) -> Timeline:
        """Make a timeline of frames at any times.

        Args:
            starts: Second at which each frame appears, increasing; at least one.
            end: Second at which the last one disappears; None if it is as long as the others.
            stated_rate: What the container says about the rate; it counts only where the times agree.
        """
        count, last = len(starts), starts[-1]
        steps = sorted(b - a for a, b in pairwise(starts))
        if end is None or end <= last:
            end = last + (steps[len(steps) // 2] if steps else 1.0)
        measured = (count - 1) / (last - starts[0]) if last > starts[0] else None
        whole = count / (end - starts[0]) if end > starts[0] else None
        rates = (rate for rate in (stated_rate, measured, whole) if rate and _is_even(starts, end, rate))
        return cls(tuple(starts), end, next(rates, None))


class FrameSource(Protocol):
    """A video before sampling.

    Attributes:
        label: Name for messages.
        timeline: When its frames are shown.
        height: Rows of a frame.
        width: Columns of a frame.
        is_chosen: The user chose these frames; they are sampled only if a request names a rate.
    """

    label: str
    timeline: Timeline
    height: int
    width: int
    is_chosen: bool

    def read(self, indexes: Sequence[int]) -> Iterator[Pixels]:
        """Give the frames (H, W, 3) uint8 of increasing indexes, one at a time.

        Raises:
            MediaError: A frame cannot be read.
            OtherFramesError: Other frames were decoded than the timeline has.
        """
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class OtherFramesError(Exception):
    """Decoding gave other frames, or at other times, than the container promised; `found` is right."""

    def __init__(self, found: Timeline) -> None:
        super().__init__(found)
        self.found = found


@dataclass(init=False)
class FrameList:
    """Frames the user chose, with a rate or times."""

    label: str
    timeline: Timeline
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
        if (frame_rate is None) == (times_s is None):
            raise MediaError(
                f"{label}: a list of frames needs either frame_rate (frames per second) or times_s (seconds of each)."
            )
        times = _checked_times(times_s, len(frames), label) if times_s is not None else None
        if len(frames) == 0:
            raise MediaError(f"{label}: the list of frames is empty.")
        rate = _checked_rate(frame_rate, label) if times is None else None
        self.timeline = Timeline.of(times) if times else Timeline.even(len(frames), rate or 1.0)
        self.height, self.width = self._load(0).shape[:2]

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


def _is_even(starts: Sequence[float], end: float, rate: float) -> bool:
    slack = min(EVEN_SHARE / rate, EVEN_S)
    places = (starts[0] + index / rate for index in range(len(starts)))
    is_last_like_the_others = abs(end - starts[-1] - 1 / rate) <= slack + EVEN_S
    return is_last_like_the_others and all(abs(a - b) <= slack for a, b in zip(starts, places, strict=True))


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
