"""Turn one picture or video of a prompt into what the model needs, with its identity and its sizes.

In: a media item and the settings. Out: `Media`: resized pixels, grid, digest, and everything that was changed.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, TypeVar

import numpy as np

from edge.errors import ConfigError, ContextLengthError, MediaError, PromptError
from edge.prompt.media.frames import FrameSource, OtherFramesError
from edge.prompt.media.opening import open_video
from edge.prompt.media.patches import fit_image, make_patches, resize_frame
from edge.prompt.media.picture import decode_still, open_still
from edge.prompt.media.sampling import fit_video, pair_times, sample_frames
from edge.prompt.media.source import source_label
from edge.prompt.types import MediaItem, MediaKind, Patches, Pixels
from edge.records import dataclass
from edge.settings import ImageSettings, VideoSettings
from edge.units import plain_number

_Settings = TypeVar("_Settings", ImageSettings, VideoSettings)


@dataclass(frozen=True, slots=True, eq=False)
class Media:
    """A picture or video, ready for the vision tower. Two are the same in a prompt exactly if their digests are.

    Attributes:
        kind: Picture or video.
        label: Path or number, for messages.
        pixels: Resized frames (T, 3, H, W) uint8; T is 1 for pictures.
        settings: Limits and sizes that were used.
        grid_thw: Patches in time, height and width.
        digest: SHA-256 of all that a prompt shows of it: `vision_digest`, kind and times, in hexadecimal.
        vision_digest: SHA-256 of what the vision tower reads: pixels, grid and normalisation, in hexadecimal.
        num_tokens: Visual tokens.
        source_size: (height, width) before resizing.
        times_s: Seconds of each temporal patch; empty for pictures.
        frame_indexes: Frames taken from the source, repeated where one is shown for long; empty for pictures.
        num_source_frames: Frames the source has; 1 for pictures.
    """

    kind: MediaKind
    label: str
    pixels: Pixels
    settings: ImageSettings | VideoSettings
    grid_thw: tuple[int, int, int]
    digest: str
    vision_digest: str
    num_tokens: int
    source_size: tuple[int, int]
    times_s: tuple[float, ...]
    frame_indexes: tuple[int, ...]
    num_source_frames: int

    @property
    def patches(self) -> Patches:
        """Rows for the vision tower, (N, patch values) float32; made anew at each access (4 bytes a value)."""
        return make_patches(self.pixels, self.settings)

    @property
    def resized_size(self) -> tuple[int, int]:
        """(height, width) the model sees."""
        return int(self.pixels.shape[2]), int(self.pixels.shape[3])

    @property
    def is_shrunk(self) -> bool:
        """Whether the limit on pixels made it smaller than it was."""
        rows, columns = self.source_size
        return rows * columns * max(1, len(self.frame_indexes)) > self.settings.max_pixels

    @property
    def _frames(self) -> str:
        taken, moments = len(set(self.frame_indexes)), len(self.frame_indexes)
        return f"{moments} moments in {taken}" if moments > taken else f"{taken}"

    @property
    def summary(self) -> str:
        """One line that states what was done: sizes, tokens, and the limit that shrank it, if one did."""
        (rows, columns), (new_rows, new_columns) = self.source_size, self.resized_size
        size = f"{columns}x{rows} -> {new_columns}x{new_rows} pixels"
        frames = f", {self._frames} of {self.num_source_frames} frames" if self.kind == "video" else ""
        limit = f" (limit: max_pixels {self.settings.max_pixels})" if self.is_shrunk else ""
        return f"{self.label}: {size}{frames}, {self.num_tokens} tokens{limit}"


def prepare_media(
    item: MediaItem,
    *,
    images: ImageSettings,
    videos: VideoSettings,
    allow_files: bool = True,
    max_tokens: int | None = None,
) -> Media:
    """Decode, resize and identify one picture or video.

    Args:
        item: Source, and options beside it, which win over the settings.
        images: Settings for pictures.
        videos: Settings for videos.
        allow_files: Refuse paths when False.
        max_tokens: Refuse what will have more visual tokens, before it is decoded.

    Raises:
        MediaError: The source cannot be used.
        ContextLengthError: It will have too many tokens.
        PromptError: An option beside it is not valid.
    """
    if item.kind == "image":
        return _prepare_image(item, _with_pixel_limits(item, images), allow_files, max_tokens)
    settings = _with_frame_limits(item, _with_pixel_limits(item, videos))
    source = open_video(
        item.source,
        label=item.label,
        frame_rate=item.options.get("frame_rate", item.options.get("sample_fps")),
        times_s=item.options.get("times_s"),
        allow_files=allow_files,
    )
    try:
        is_sampled = not source.is_chosen or item.options.get("fps") is not None
        return _prepare_video(source, settings, is_sampled, max_tokens)
    finally:
        source.close()


def _prepare_image(item: MediaItem, settings: ImageSettings, allow_files: bool, max_tokens: int | None) -> Media:
    label = source_label(item.source, item.label)
    picture = open_still(item.source, label=item.label, allow_files=allow_files)
    # Turning the picture exchanges the sides and leaves the number of tokens.
    _check_tokens(label, 1, fit_image(picture.size[1], picture.size[0], settings), settings, max_tokens)
    rgb = decode_still(picture, label)
    del picture  # its memory is needed for resizing
    height, width = fit_image(rgb.shape[0], rgb.shape[1], settings)
    pixels = resize_frame(rgb, height=height, width=width)[None]
    return _make_media("image", label, pixels, settings, (rgb.shape[0], rgb.shape[1]), (), (), 1)


def _check_tokens(
    label: str, frames: int, size: tuple[int, int], settings: ImageSettings | VideoSettings, max_tokens: int | None
) -> None:
    times = -(-frames // settings.temporal_patch_size)
    tokens = times * size[0] * size[1] // settings.factor**2
    if max_tokens is not None and tokens > max_tokens:
        what = f"{frames} frames of " if frames > 1 else ""
        raise ContextLengthError(
            f"{label}: {what}{size[1]}x{size[0]} pixels would make {tokens} tokens, at most {max_tokens} fit. "
            "Lower min_pixels, max_pixels or max_frames."
        )


def _prepare_video(source: FrameSource, settings: VideoSettings, is_sampled: bool, max_tokens: int | None) -> Media:
    try:
        return _sample_video(source, settings, is_sampled, max_tokens)
    except OtherFramesError as error:
        # The container was wrong: sample again from what can be decoded.
        source.timeline = error.found
    try:
        return _sample_video(source, settings, is_sampled, max_tokens)
    except OtherFramesError:
        raise MediaError(f"{source.label}: decoding gives another number of frames each time. Convert it.") from None


def _sample_video(source: FrameSource, settings: VideoSettings, is_sampled: bool, max_tokens: int | None) -> Media:
    try:
        indexes, times = _choose_frames(source, settings, is_sampled)
        height, width = fit_video(len(indexes), source.height, source.width, settings)
    except MediaError as error:
        raise MediaError(f"{source.label}: {error}") from None
    _check_tokens(source.label, len(indexes), (height, width), settings, max_tokens)
    pixels = np.empty((len(indexes), 3, height, width), np.uint8)
    wanted = sorted(set(indexes))
    place = 0
    for index, frame in zip(wanted, source.read(wanted), strict=True):
        if frame.shape[:2] != (source.height, source.width):
            raise MediaError(f"{source.label}: the frames change size at frame {index}. Convert the video.")
        first, place = place, bisect_right(indexes, index, lo=place)
        pixels[first:place] = resize_frame(frame, height=height, width=width)
    size, num_frames = (source.height, source.width), len(source.timeline.starts)
    return _make_media(
        "video", source.label, pixels, settings, size, pair_times(times, settings), tuple(indexes), num_frames
    )


def _choose_frames(
    source: FrameSource, settings: VideoSettings, is_sampled: bool
) -> tuple[Sequence[int], Sequence[float]]:
    if is_sampled:
        return sample_frames(source.timeline, settings)
    num_frames = len(source.timeline.starts)
    if num_frames > settings.max_frames:
        raise MediaError(
            f"the list has {num_frames} frames, at most {settings.max_frames} are taken. "
            "Leave some out, or raise max_frames."
        )
    return range(num_frames), source.timeline.starts


def _make_media(
    kind: Literal["image", "video"],
    label: str,
    pixels: Pixels,
    settings: ImageSettings | VideoSettings,
    source_size: tuple[int, int],
    times_s: tuple[float, ...],
    frame_indexes: tuple[int, ...],
    num_source_frames: int,
) -> Media:
    frames, _, height, width = pixels.shape
    temporal = settings.temporal_patch_size
    grid = (-(-frames // temporal), height // settings.patch_size, width // settings.patch_size)
    identity = (grid, settings.patch_size, temporal, settings.merge_size, settings.mean, settings.std)
    vision = hashlib.sha256(repr(identity).encode())
    vision.update(np.ascontiguousarray(pixels).data)
    return Media(
        kind=kind,
        label=label,
        pixels=pixels,
        settings=settings,
        grid_thw=grid,
        digest=hashlib.sha256(repr((vision.hexdigest(), kind, times_s)).encode()).hexdigest(),
        vision_digest=vision.hexdigest(),
        num_tokens=grid[0] * grid[1] * grid[2] // settings.merge_size**2,
        source_size=source_size,
        times_s=times_s,
        frame_indexes=frame_indexes,
        num_source_frames=num_source_frames,
    )


def _with_pixel_limits(item: MediaItem, settings: _Settings) -> _Settings:
    options, area = item.options, settings.factor**2
    limits: dict[str, Any] = {name: plain_number(options.get(name)) for name in ("min_pixels", "max_pixels")}
    for name, own in (("min_pixels", "min_tokens"), ("max_pixels", "max_tokens")):
        tokens = plain_number(options.get(own))
        if tokens is None:
            continue
        if limits[name] is not None:
            raise PromptError(f"{item.label}: give {name} in pixels or in tokens, not both.")
        if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 1:
            raise PromptError(f"{item.label}: {own} should be a positive whole number, found {tokens!r}.")
        limits[name] = tokens * area
    try:
        return settings.with_limits(**limits)
    except ConfigError as error:
        raise PromptError(f"{item.label}: {error}") from None


def _with_frame_limits(item: MediaItem, settings: VideoSettings) -> VideoSettings:
    options = item.options
    fps: Any = plain_number(options.get("fps", settings.fps))  # Any: as given until it is checked
    least: Any = plain_number(options.get("min_frames", settings.min_frames))
    most: Any = plain_number(options.get("max_frames", settings.max_frames))
    if not isinstance(fps, int | float) or isinstance(fps, bool) or not (math.isfinite(fps) and fps > 0):
        raise PromptError(f"{item.label}: fps should be a positive number of frames per second, found {fps!r}.")
    for name, value in (("min_frames", least), ("max_frames", most)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 2:
            raise PromptError(f"{item.label}: {name} should be a whole number of at least 2, found {value!r}.")
    if least > most:
        if "min_frames" in options and "max_frames" in options:
            raise PromptError(f"{item.label}: min_frames {least} exceeds max_frames {most}. Swap them.")
        least, most = (least, least) if "min_frames" in options else (most, most)
    return replace(settings, fps=float(fps), min_frames=least, max_frames=most)
