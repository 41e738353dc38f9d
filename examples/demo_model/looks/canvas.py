"""Pictures with sides up to 2:1, and the grid of patches the processor makes of them.

In: sides in pixels or a seeded `random.Random`. Out: a grid (rows, columns) of 16-pixel patches, or the sides as
factors of a square's whose product is 1.
"""

from __future__ import annotations

import math
import random

PATCH_PX = 16
BLOCK_PX = 32
AREA_PX = 128 * 128
VIDEO_AREAS_PX = (4 * AREA_PX, 12 * AREA_PX)
SQUARE = (8, 8)
# Frames of a square clip by their grid, when the source is large enough.
CLIP_FRAMES = {(8, 8): (8, 13), (10, 10): (6, 7), (12, 12): (4, 5)}
# What pictures with sides up to 2:1 are brought to, about as often as they are.
GRIDS = (
    *[(6, 8)] * 4, *[(8, 6)] * 3, *[(4, 10)] * 3, *[(6, 10)] * 2, *[(10, 4)] * 2, *[(10, 6)] * 2,
    (6, 12), (12, 6), (8, 10), (10, 8),
)  # fmt: skip
Grid = tuple[int, int]
Stretch = tuple[float, float]


def fit_grid(height: int, width: int) -> Grid:
    """Return the grid of patches of a picture that is brought to 128x128 pixels' area, in steps of 32 pixels."""
    rows, cols = (max(1, round(side / BLOCK_PX)) for side in (height, width))
    area = rows * cols * BLOCK_PX**2
    if area != AREA_PX:
        factor = math.sqrt(AREA_PX / (height * width))
        step = math.floor if area > AREA_PX else math.ceil
        rows, cols = (max(1, step(side * factor / BLOCK_PX)) for side in (height, width))
    return 2 * rows, 2 * cols


def fit_video_grid(num_frames: int, height: int, width: int) -> Grid:
    """Return the grid of patches of a video's frames: short clips keep more of each frame than long ones."""
    rows, cols = (round(side / BLOCK_PX) for side in (height, width))
    volume = 2 * round(num_frames / 2) * rows * cols * BLOCK_PX**2
    low, high = VIDEO_AREAS_PX
    if low <= volume <= high:
        return 2 * rows, 2 * cols
    factor = math.sqrt((high if volume > high else low) / (num_frames * height * width))
    step = math.floor if volume > high else math.ceil
    return 2 * step(height * factor / BLOCK_PX), 2 * step(width * factor / BLOCK_PX)


def random_sides(rng: random.Random) -> tuple[int, int]:
    """Draw a height and a width from 90 to 640 pixels, neither more than twice the other."""
    long = rng.randint(120, 640)
    short = round(long / rng.uniform(1.15, 2.0))
    return (short, long) if rng.random() < 0.6 else (long, short)


def sides_of(rng: random.Random, grid: Grid) -> tuple[int, int]:
    """Draw sides that the processor brings to a grid."""
    for _ in range(2000):
        sides = random_sides(rng)
        if fit_grid(*sides) == grid:
            return sides
    return grid[0] * PATCH_PX, grid[1] * PATCH_PX


def stretch_of(height: int, width: int) -> Stretch:
    """Return the factors (x, y) by which a picture's sides differ from those of a square of its area."""
    factor = math.sqrt(width / height)
    return factor, 1 / factor
