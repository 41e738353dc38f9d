"""Open anything that is a video: a file, an animation, or a list of frames with times.

In: the source as a message names it. Out: a frame source.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from edge.errors import MediaError
from edge.prompt.media.animation import Animation
from edge.prompt.media.frames import FrameList, FrameSource
from edge.prompt.media.picture import open_picture
from edge.prompt.media.source import is_file_object, open_source, source_label
from edge.prompt.media.video_file import VideoFile

STILL_SIGNATURES = (b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*")
ANIMATION_SIGNATURES = (b"GIF8", b"\x89PNG")


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
    if isinstance(source, np.ndarray):
        raise MediaError(f"{label}: expected an array of frames (T, H, W, 3), found shape {source.shape}.")
    if isinstance(source, Iterator) and not is_file_object(source):
        raise MediaError(f"{label}: expected a list of frames, found {type(source).__name__}. Make a list of it.")
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
    return VideoFile(file, label)
