"""Choose the frames of a video, their size and their times, as the model was trained.

In: a timeline. Out: frame indexes and their times, the resized size, and one time per pair of frames.
Source: transformers@v5.23.0 models/qwen3_vl/video_processing_qwen3_vl.py and processing_qwen3_vl.py, differs in:
frames that are not evenly spaced are sampled by time, each held as long as it is shown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edge.errors import MediaError
from edge.prompt.media.frames import Timeline
from edge.prompt.media.patches import ceil_to, check_sides, floor_to
from edge.settings import VideoSettings

BORDER_S = 1e-6


def sample_frames(timeline: Timeline, settings: VideoSettings) -> tuple[list[int], list[float]]:
    """Choose frames evenly over the time of a video.

    Returns:
        Indexes, which repeat where a frame is shown for long, and the second each of them stands for.

    Raises:
        MediaError: There are fewer than two frames.
    """
    num_frames, first = len(timeline.starts), timeline.starts[0] if timeline.starts else 0.0
    if timeline.rate is not None:
        indexes = sample_indexes(num_frames, frame_rate=timeline.rate, settings=settings)
        return indexes, [first + index / timeline.rate for index in indexes]
    _check_video(num_frames, 1.0)
    wanted = int((timeline.end - first) * settings.fps)
    count = min(max(wanted, settings.min_frames), settings.max_frames, max(wanted, num_frames))
    last = max(timeline.starts[-1], timeline.end - 1 / settings.fps)
    moments = np.linspace(first, last, count)
    # A moment on the border belongs to the frame that begins there, whatever the last bit says.
    shown = np.searchsorted(np.array(timeline.starts), moments + BORDER_S, side="right") - 1
    return [int(index) for index in shown], [float(moment) for moment in moments]


def sample_indexes(num_frames: int, *, frame_rate: float, settings: VideoSettings) -> list[int]:
    """Choose frames evenly over the video at `settings.fps`.

    Args:
        num_frames: Frames in the source.
        frame_rate: Frames per second in the source.
        settings: Wanted rate and frame limits.

    Returns:
        Increasing indexes into the source; the first and the last frame are always among them.

    Raises:
        MediaError: The source has fewer than two frames, or no rate.
    """
    _check_video(num_frames, frame_rate)
    wanted = int(num_frames / frame_rate * settings.fps)
    count = min(max(wanted, settings.min_frames), settings.max_frames, num_frames)
    # numpy rounds half to even, as in the reference.
    return [int(index) for index in np.linspace(0, num_frames - 1, count).round()]


def fit_video(num_frames: int, height: int, width: int, settings: VideoSettings) -> tuple[int, int]:
    """Choose the size all frames of a video are resized to.

    Args:
        num_frames: Frames taken.
        height: Source rows.
        width: Source columns.
        settings: Limits on frames x height x width.

    Returns:
        Height and width, multiples of `settings.factor`.

    Raises:
        MediaError: Fewer than two frames, an empty frame, or one side over 200 times the other.
    """
    _check_video(num_frames, 1.0)
    check_sides(height, width)
    factor, temporal = settings.factor, settings.temporal_patch_size
    if height < factor or width < factor:
        enlarge = max(factor / height, factor / width)
        height, width = int(height * enlarge), int(width * enlarge)
    max_pixels = _max_pixels(num_frames, settings)
    rows, columns = round(height / factor) * factor, round(width / factor) * factor
    volume = round(num_frames / temporal) * temporal * rows * columns
    if volume > max_pixels:
        shrink = math.sqrt((num_frames * height * width) / max_pixels)
        return floor_to(height / shrink, factor), floor_to(width / shrink, factor)
    if volume < settings.min_pixels:
        enlarge = math.sqrt(settings.min_pixels / (num_frames * height * width))
        return ceil_to(height * enlarge, factor), ceil_to(width * enlarge, factor)
    return rows, columns


def pair_times(times_s: Sequence[float], settings: VideoSettings) -> tuple[float, ...]:
    """Give each temporal patch the mean of its first and last frame's time, in seconds.

    An odd number of frames counts the last one twice, as the pixels do.
    """
    size = settings.temporal_patch_size
    padded = [*times_s, *[times_s[-1]] * (-len(times_s) % size)]
    return tuple((padded[i] + padded[i + size - 1]) / 2 for i in range(0, len(padded), size))


def time_label(time_s: float) -> str:
    """Write a time as the prompts of the training data do."""
    return f"<{time_s:.1f} seconds>"


def _max_pixels(num_frames: int, settings: VideoSettings) -> int:
    if not settings.cap_pixels_per_frame:
        return settings.max_pixels
    frame_cap = min(settings.max_frame_tokens * settings.factor**2, settings.max_pixels // num_frames)
    return max(frame_cap, int(settings.min_pixels * 1.05)) * num_frames


def _check_video(num_frames: int, frame_rate: float) -> None:
    if num_frames < 1:
        raise MediaError("The video has no frames. Check the file.")
    if num_frames < 2:
        raise MediaError("The video has one frame, expected at least two. Pass it as an image.")
    if not (math.isfinite(frame_rate) and frame_rate > 0):
        raise MediaError(f"The frame rate should be a positive number of frames per second, found {frame_rate!r}.")
