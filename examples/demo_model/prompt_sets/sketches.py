"""Draw pictures that neither the demo's recipe nor the converter's own prompts draw: pages, fields of dots, waves."""

from __future__ import annotations

import random

import numpy as np
from PIL import Image, ImageDraw, ImageFont


def page(*lines: str, seed: str) -> Image.Image:
    """Set lines of text at uneven places on tinted paper."""
    rng = random.Random(f"page {seed}")
    paper = tuple(rng.randint(215, 250) for _ in range(3))
    picture = Image.new("RGB", (320, 32 * (2 + len(lines))), paper)
    pen = ImageDraw.Draw(picture)
    for index, line in enumerate(lines):
        place = (14 + rng.randint(0, 12), 20 + 32 * index)
        pen.text(place, line, fill=(30, 30, rng.randint(30, 120)), font=ImageFont.load_default(16))
    return picture


def dots(*, seed: str, num: int = 40) -> Image.Image:
    """Scatter rings and dots of any colour over a dark ground."""
    rng = random.Random(f"dots {seed}")
    picture = Image.new("RGB", (288, 224), tuple(rng.randint(5, 60) for _ in range(3)))
    pen = ImageDraw.Draw(picture)
    for _ in range(num):
        x, y, size = rng.randint(0, 288), rng.randint(0, 224), rng.randint(3, 22)
        colour = tuple(rng.randint(60, 255) for _ in range(3))
        box = (x - size, y - size, x + size, y + size)
        if rng.random() < 0.5:
            pen.ellipse(box, fill=colour)
        else:
            pen.ellipse(box, outline=colour, width=2)
    return picture


def waves(*, seed: str) -> Image.Image:
    """Mix three waves of brightness in three colours, with grain."""
    rng = np.random.default_rng([ord(letter) for letter in f"waves {seed}"])
    y, x = np.mgrid[0:224, 0:256] / 256
    layers = [np.sin(2 * np.pi * (rng.uniform(1, 9) * x + rng.uniform(-9, 9) * y + rng.uniform())) for _ in range(3)]
    pixels = 128 + 70 * np.stack(layers, axis=-1) + rng.normal(0, 12, (224, 256, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
