"""Pictures as the vision tower sees them, and what its throw-away heads learn to read off them.

In: scenes, a grid of patches and a seeded `random.Random`. Out: uint8 frames and label arrays.
"""

from __future__ import annotations

import io
import random

import numpy as np
from PIL import Image, ImageFilter

from . import tasks
from .looks.canvas import PATCH_PX, SQUARE, Grid
from .scenes import COLOUR_NAMES, GLYPHS, SHAPES, SIZE_PX, Scene

Frames = tuple[np.ndarray, np.ndarray]
Seen = tuple[Frames, Scene]


def still(scene: Scene, rng: random.Random, noise: float, grid: Grid = SQUARE) -> Seen:
    """Draw a picture as the two equal frames of one unit."""
    frame = picture(scene, rng, noise, grid)
    return (frame, frame), scene


def picture(scene: Scene, rng: random.Random, noise: float, grid: Grid = SQUARE) -> np.ndarray:
    """Draw a scene, bring it to the grid's size, and perhaps disturb it."""
    return seen_as(scene.draw(rng.choice((1, 2, 2, 3)) if noise else 2), rng, noise, grid)


def seen_as(image: Image.Image, rng: random.Random, noise: float, grid: Grid = SQUARE) -> np.ndarray:
    """Bring a picture to the grid's size, and perhaps disturb it."""
    size = (grid[1] * PATCH_PX, grid[0] * PATCH_PX)
    image = image.resize(size, Image.Resampling.BICUBIC)
    if rng.random() < noise:
        way = rng.randrange(3)
        if way == 0:
            image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.8)))
        elif way == 1:
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=rng.randint(50, 95))
            image = Image.open(buffer)
        else:
            grain = np.random.default_rng(rng.getrandbits(32)).normal(0, rng.uniform(1, 8), (size[1], size[0], 3))
            return np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8)
    return np.asarray(image)


def class_targets(scene: Scene, grid: Grid = SQUARE) -> np.ndarray:
    """Return (3, patches) in block order: class, colour and reading index of what covers each patch's centre."""
    rows, cols = grid
    high, wide = SIZE_PX / rows, SIZE_PX / cols
    out = np.zeros((3, rows, cols), np.int64)
    things = enumerate(scene.things)
    found = [(index, thing.box(), 1 + SHAPES.index(thing.shape), thing.colour) for index, thing in things]
    for sign in scene.signs:
        boxes = enumerate(zip(sign.text, sign.glyph_boxes(), strict=True))
        found += [(index, box, 6 + GLYPHS.index(char), sign.colour) for index, (char, box) in boxes]
    for index, box, name, colour in found:
        covered_rows = [row for row in range(rows) if box[1] <= high * (row + 0.5) <= box[3]]
        covered_cols = [col for col in range(cols) if box[0] <= wide * (col + 0.5) <= box[2]]
        row = min(rows - 1, int((box[1] + box[3]) / 2 // high))
        col = min(cols - 1, int((box[0] + box[2]) / 2 // wide))
        for y in {*covered_rows, row}:
            for x in {*covered_cols, col}:
                out[:2, y, x] = name, 1 + COLOUR_NAMES.index(colour)
        out[2, row, col] = index + 1
    return out.reshape(3, rows // 2, 2, cols // 2, 2).transpose(0, 1, 3, 2, 4).reshape(3, rows * cols)


def digit_targets(scene: Scene, grid: Grid = SQUARE) -> np.ndarray:
    """Return (tokens, 8): hundreds and tens of the box of the one thing centred in each 2x2 patches, else -1."""
    rows, cols = grid[0] // 2, grid[1] // 2
    out = np.full((rows * cols, 8), -1, np.int64)
    for thing in scene.things:
        cell = int(thing.y * rows // SIZE_PX) * cols + int(thing.x * cols // SIZE_PX)
        box = tasks.relative_box(thing)
        out[cell] = [digit for value in box for digit in (value // 100, value // 10 % 10)]
    return out
