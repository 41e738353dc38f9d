"""Name what passes between the parts of the prompt side: its arrays, and a picture or video as a message names it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from edge.records import dataclass

# numpy's shape types cannot say (T, 3, H, W); the docstrings do.
Pixels: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]
Patches: TypeAlias = npt.NDArray[np.float32]
Indexes: TypeAlias = npt.NDArray[np.int32]

MediaKind = Literal["image", "video"]

IMAGE_OPTIONS = {"min_pixels", "max_pixels", "min_tokens", "max_tokens"}
VIDEO_OPTIONS = {
    *("min_pixels", "max_pixels", "fps", "min_frames", "max_frames", "frame_rate", "sample_fps", "times_s"),
}


@dataclass(frozen=True, slots=True)
class MediaItem:
    """A picture or video as a message named it.

    Attributes:
        kind: Picture or video.
        source: Path, bytes, data URL, picture object, or list of frames.
        label: Name for messages to the user.
        options: Limits and rates given beside it.
        where: The part it was given in, such as `messages[2].content[0]`; empty where there is none.
    """

    kind: MediaKind
    source: object
    label: str
    options: Mapping[str, Any]  # Any: JSON, checked where it is used
    where: str = ""
