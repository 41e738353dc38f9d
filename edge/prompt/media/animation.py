"""Read animations (GIF, WebP, APNG) frame by frame.

In: an open picture. Out: a frame source.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from edge.errors import MediaError
from edge.prompt.media.frames import Timeline
from edge.prompt.media.picture import DECODER_ERRORS, broken_picture, count_frames, picture_to_rgb
from edge.prompt.types import Pixels
from edge.records import dataclass

if TYPE_CHECKING:
    from PIL.Image import Image

# Browsers show frames of an animation that names no duration for a tenth of a second.
DEFAULT_FRAME_S = 0.1
MAX_ANIMATION_FRAMES = 100_000
# Over all frames, which are decoded one after the other: some minutes of work.
MAX_ANIMATION_PIXELS = 50_000_000_000


@dataclass(init=False)
class Animation:
    """A GIF, WebP or APNG with more than one frame."""

    label: str
    timeline: Timeline
    height: int
    width: int
    is_chosen: bool = False

    def __init__(self, picture: Image, label: str) -> None:
        self.label, self._picture = label, picture
        num_frames = count_frames(picture, label)
        if num_frames < 2:
            raise MediaError(f"{label}: has one frame, expected a video. Pass it as an image.")
        if num_frames > MAX_ANIMATION_FRAMES:
            raise MediaError(f"{label}: has {num_frames} frames, at most {MAX_ANIMATION_FRAMES} are read.")
        if num_frames * picture.size[0] * picture.size[1] > MAX_ANIMATION_PIXELS:
            size = f"{picture.size[0]}x{picture.size[1]}"
            raise MediaError(f"{label}: {num_frames} frames of {size} pixels are too many. Make it smaller first.")
        starts = [0.0, *accumulate(self._durations(num_frames))]
        self.timeline = Timeline.of(starts[:-1], starts[-1])
        self.width, self.height = picture.size

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

    def _durations(self, num_frames: int) -> Iterator[float]:
        try:
            for index in range(num_frames):
                self._picture.seek(index)
                if self._picture.format == "WEBP":
                    self._picture.load()  # WebP knows a frame's duration only once it is decoded
                milliseconds = self._picture.info.get("duration") or 0
                yield milliseconds / 1000 if milliseconds > 0 else DEFAULT_FRAME_S
        except DECODER_ERRORS as error:
            raise broken_picture(self.label, error) from None
