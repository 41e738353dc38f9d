"""Turn a picture into patches: its resized size, its pixels at that size, and the rows the vision tower reads.

In: RGB pixels, (H, W, 3) uint8. Out: planar pixels, and float32 patch rows in the model's 2x2 block order.
Source: transformers@v5.23.0 models/qwen2_vl/image_processing_qwen2_vl.py.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edge.errors import MediaError
from edge.prompt.media.resize import resize_bicubic
from edge.prompt.types import Patches, Pixels
from edge.settings import RESCALE_FACTOR, ImageSettings, VideoSettings

MAX_ASPECT_RATIO = 200


def fit_image(height: int, width: int, settings: ImageSettings) -> tuple[int, int]:
    """Choose the size a picture is resized to.

    Args:
        height: Source rows.
        width: Source columns.
        settings: Pixel limits and patch sizes.

    Returns:
        Height and width, multiples of `settings.factor`, with an area inside the limits.

    Raises:
        MediaError: The picture is empty, or one side is over 200 times the other.
    """
    check_sides(height, width)
    factor = settings.factor
    # Python's round is half to even, as in the reference: 720 becomes 704, not 736.
    rows, columns = round(height / factor) * factor, round(width / factor) * factor
    if rows * columns > settings.max_pixels:
        shrink = math.sqrt((height * width) / settings.max_pixels)
        return floor_to(height / shrink, factor), floor_to(width / shrink, factor)
    if rows * columns < settings.min_pixels:
        enlarge = math.sqrt(settings.min_pixels / (height * width))
        return ceil_to(height * enlarge, factor), ceil_to(width * enlarge, factor)
    return rows, columns


def resize_frame(rgb: Pixels, *, height: int, width: int) -> Pixels:
    """Resize one frame.

    Args:
        rgb: (H, W, 3) uint8.
        height: Rows wanted.
        width: Columns wanted.

    Returns:
        (3, height, width) uint8.
    """
    return resize_bicubic(np.ascontiguousarray(rgb.transpose(2, 0, 1)), height=height, width=width)


def make_patches(frames: Pixels, settings: ImageSettings | VideoSettings) -> Patches:
    """Cut resized frames into the rows the vision tower reads.

    Args:
        frames: (T, 3, H, W) uint8, H and W multiples of `settings.factor`; T is padded by repeating the last frame.
        settings: Patch sizes, mean and std.

    Returns:
        (T' * H/p * W/p, 3 * temporal * p * p) float32; rows in the order (t, H/f, W/f, merge, merge), values in the
        order (channel, time, row, column).
    """
    temporal, patch, merge = settings.temporal_patch_size, settings.patch_size, settings.merge_size
    missing = -len(frames) % temporal
    if missing:
        frames = np.concatenate([frames, np.broadcast_to(frames[-1:], (missing, *frames.shape[1:]))])
    times, _, height, width = frames.shape
    blocks = frames.reshape(
        times // temporal,
        temporal,
        3,
        height // settings.factor,
        merge,
        patch,
        width // settings.factor,
        merge,
        patch,
    )
    blocks = blocks.transpose(0, 3, 6, 4, 7, 2, 1, 5, 8)  # (t, H/f, W/f, merge, merge, channel, time, row, column)
    values = np.empty(blocks.shape, np.float32)
    mean, std = _mean_and_std(settings)
    for place in np.ndindex(*blocks.shape[:2]):  # a band of the picture at a time, which stays in the cache
        band = values[place]
        band[...] = blocks[place]
        band -= mean
        band /= std
    return values.reshape(-1, 3 * temporal * patch * patch)


def check_sides(height: int, width: int) -> None:
    """Refuse pictures the model cannot take.

    Raises:
        MediaError: The picture is empty, or one side is over 200 times the other.
    """
    if height < 1 or width < 1:
        raise MediaError(f"The picture is empty ({width}x{height} pixels). Give one with at least one pixel.")
    ratio = max(height, width) / min(height, width)
    if ratio > MAX_ASPECT_RATIO:
        raise MediaError(
            f"The picture is {width}x{height} pixels: one side may be at most {MAX_ASPECT_RATIO} times the other, "
            f"here it is {ratio:.2f} times. Crop it or cut it into pieces."
        )


def floor_to(value: float, factor: int) -> int:
    """Round down to a multiple of `factor`, but not to zero."""
    return max(factor, math.floor(value / factor) * factor)


def ceil_to(value: float, factor: int) -> int:
    """Round up to a multiple of `factor`."""
    return math.ceil(value / factor) * factor


def _mean_and_std(settings: ImageSettings | VideoSettings) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return both for pixels from 0 to 255, (3, 1, 1, 1): the rescaling is fused into them as in the reference."""
    scale = 1.0 / RESCALE_FACTOR
    mean, std = (
        np.array([value * scale for value in triple], np.float32)[:, None, None, None]
        for triple in (settings.mean, settings.std)
    )
    return mean, std
