"""Pictures in which there is nothing the model knows: blank ones, gradients, textures, foreign shapes, blurs.

In: a seeded `random.Random`. Out: an RGB picture of any sides.
"""

from __future__ import annotations

import math
import random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .backdrops import Rgb, random_backdrop


def blank(rng: random.Random, size: tuple[int, int]) -> Image.Image:
    """Fill a picture with one colour."""
    colour = random_backdrop(rng) if rng.random() < 0.6 else _any_colour(rng)
    return Image.new("RGB", size, colour)


def unknown(rng: random.Random, size: tuple[int, int], *, held_out: bool = False) -> Image.Image:
    """Draw something foreign.

    Args:
        rng: Source of chance.
        size: Width and height in pixels.
        held_out: Use the two kinds that training never shows: a checkerboard and a landscape.
    """
    ways = (_checkers, _landscape) if held_out else (_gradient, _clouds, _grain, _stripes, _scribble, _foreign, _dots)
    return rng.choice(ways)(rng, size)


def _any_colour(rng: random.Random) -> Rgb:
    return rng.randint(0, 255), rng.randint(0, 255), rng.randint(0, 255)


def _gradient(rng: random.Random, size: tuple[int, int]) -> Image.Image:
    corners = np.array([[_any_colour(rng) for _ in range(2)] for _ in range(2)], np.uint8)
    return Image.fromarray(corners).resize(size, Image.Resampling.BILINEAR)


def _clouds(rng: random.Random, size: tuple[int, int]) -> Image.Image:
    """Blurred noise of a few colours, as an unsharp photo."""
    grid = rng.randint(3, 9)
    noise = np.random.default_rng(rng.getrandbits(32)).integers(0, 256, (grid, grid, 3)).astype(np.uint8)
    mixed = Image.blend(Image.new("RGB", (grid, grid), _any_colour(rng)), Image.fromarray(noise), rng.uniform(0.3, 1))
    return mixed.resize(size, Image.Resampling.BICUBIC)


def _grain(rng: random.Random, size: tuple[int, int]) -> Image.Image:
    noise = np.random.default_rng(rng.getrandbits(32)).normal(0, rng.uniform(15, 70), (size[1], size[0], 3))
    return Image.fromarray(np.clip(np.array(_any_colour(rng)) + noise, 0, 255).astype(np.uint8))


def _stripes(rng: random.Random, size: tuple[int, int]) -> Image.Image:
    image = Image.new("RGB", size, _any_colour(rng))
    pen, step, colour = ImageDraw.Draw(image), rng.randint(8, 40), _any_colour(rng)
    slant = rng.choice((0, 0, size[1], -size[1]))
    for x in range(-size[1], size[0] + size[1], 2 * step):
        pen.line([(x, 0), (x + slant, size[1])], fill=colour, width=step)
    return image.rotate(rng.choice((0, 90))).resize(size)


def _scribble(rng: random.Random, size: tuple[int, int]) -> Image.Image:
    image = Image.new("RGB", size, random_backdrop(rng))
    pen = ImageDraw.Draw(image)
    for _ in range(rng.randint(1, 6)):
        points = [(rng.randrange(size[0]), rng.randrange(size[1])) for _ in range(rng.randint(2, 9))]
        pen.line(points, fill=_any_colour(rng), width=rng.randint(1, 4))
    return image


def _dots(rng: random.Random, size: tuple[int, int]) -> Image.Image:
    """Draw specks far smaller than any known shape."""
    image = Image.new("RGB", size, random_backdrop(rng))
    pen, colour = ImageDraw.Draw(image), _any_colour(rng)
    for _ in range(rng.randint(3, 150)):
        x, y, r = rng.randrange(size[0]), rng.randrange(size[1]), rng.uniform(0.5, 2.0) * size[0] / 128
        pen.ellipse([x - r, y - r, x + r, y + r], fill=colour)
    return image


def _foreign(rng: random.Random, size: tuple[int, int]) -> Image.Image:
    """Draw rings, arrows, moons and crooked polygons in grey, brown, pink or cyan."""
    image = Image.new("RGB", size, (255, 255, 255) if rng.random() < 0.5 else random_backdrop(rng))
    pen = ImageDraw.Draw(image)
    for _ in range(rng.randint(1, 3)):
        r = min(size) * rng.uniform(0.1, 0.3)
        x, y = rng.uniform(r, size[0] - r), rng.uniform(r, size[1] - r)
        colour = rng.choice(((130, 130, 130), (120, 80, 45), (245, 150, 190), (60, 200, 210)))
        way = rng.randrange(4)
        if way == 0:
            pen.ellipse([x - r, y - r, x + r, y + r], outline=colour, width=max(1, round(r / 4)))
        elif way == 1:
            pen.chord([x - r, y - r, x + r, y + r], rng.randint(0, 360), rng.randint(40, 200), fill=colour)
        elif way == 2:
            pen.line([(x - r, y), (x + r, y), (x + r / 3, y - r / 2)], fill=colour, width=max(1, round(r / 4)))
        else:
            angles = sorted(rng.uniform(0, 2 * math.pi) for _ in range(7))
            far = [r * rng.uniform(0.4, 1) for _ in angles]
            pen.polygon([(x + d * math.cos(a), y + d * math.sin(a)) for a, d in zip(angles, far, strict=True)], colour)
    return image


def _checkers(rng: random.Random, size: tuple[int, int]) -> Image.Image:
    image = Image.new("RGB", size, _any_colour(rng))
    pen, step, colour = ImageDraw.Draw(image), rng.randint(10, 30), _any_colour(rng)
    for x in range(0, size[0], step):
        for y in range(0, size[1], step):
            if (x + y) // step % 2:
                pen.rectangle([x, y, x + step - 1, y + step - 1], fill=colour)
    return image


def _landscape(rng: random.Random, size: tuple[int, int]) -> Image.Image:
    """Draw sky above hills, blurred."""
    image = Image.new("RGB", size, (rng.randint(120, 220), rng.randint(170, 230), 240))
    pen = ImageDraw.Draw(image)
    for layer in range(3):
        base = size[1] * (0.4 + 0.2 * layer)
        hills = [
            (x, base + size[1] * 0.1 * math.sin(x / size[0] * rng.uniform(4, 9))) for x in range(0, size[0] + 8, 8)
        ]
        pen.polygon([(0, size[1]), *hills, (size[0] + 8, size[1])], fill=(60 + 30 * layer, 110 + 20 * layer, 60))
    return image.filter(ImageFilter.GaussianBlur(size[0] / 128))
