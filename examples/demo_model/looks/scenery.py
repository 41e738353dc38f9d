"""Scenes of more looks: any background, small and large shapes, other fonts and spacings, pictures that are not square.

In: a seeded `random.Random` and the stretch of the picture. Out: a `Scene` like those of `scenes.py`.
"""

from __future__ import annotations

import random

from ..scenes import COLOURS, GLYPHS, SHAPES, SIZE_PX, Scene, Sign, Thing
from . import fonts
from .backdrops import WHITE, Rgb, random_backdrop, readable
from .canvas import Stretch

SQUARE: Stretch = (1.0, 1.0)
MARGIN_PX = 3.0


def varied_scene(
    rng: random.Random, *, low: int = 1, high: int = 5, stretch: Stretch = SQUARE, backdrop: Rgb | None = None
) -> Scene:
    """Draw `low` to `high` things of 18 to 41 pixels in different cells, on any background."""
    ground = random_backdrop(rng) if backdrop is None else backdrop
    cells = sorted(rng.sample(range(9), rng.randint(low, high)))
    things = tuple(varied_thing(rng, cell, ground, stretch) for cell in cells)
    return Scene(things, None, ground, stretch=stretch)


def varied_thing(rng: random.Random, cell: int, ground: Rgb, stretch: Stretch = SQUARE) -> Thing:
    """Draw one thing that lies fully inside its cell and stands out from the background."""
    step = SIZE_PX / 3
    size = min(stretch) * rng.uniform(18.0 if min(stretch) > 0.85 else 24.0, 41.0)
    slack = [(step - size / factor) / 2 - 0.5 for factor in stretch]
    x = (cell % 3 + 0.5) * step + rng.uniform(-slack[0], slack[0])
    y = (cell // 3 + 0.5) * step + rng.uniform(-slack[1], slack[1])
    colour, rgb = varied_colour(rng, ground)
    return Thing(rng.choice(SHAPES), colour, cell, x, y, size, rgb, stretch)


def varied_colour(rng: random.Random, ground: Rgb, *, least: int = 150) -> tuple[str, Rgb]:
    """Choose a colour that can be told from the background, and move its channels a little."""
    known = readable(COLOURS, ground, least=least)
    name = rng.choice(list(known))
    if name == WHITE:
        return name, known[name]
    red, green, blue = (min(255, max(0, value + rng.randint(-15, 15))) for value in known[name])
    return name, (red, green, blue)


def varied_sign(
    rng: random.Random, text: str, *, stretch: Stretch = SQUARE, held_out: bool = False, pillow: float = 0.2
) -> Scene:
    """Put `text` in some font at a random place, in natural or wide spacing.

    Args:
        rng: Source of chance.
        text: Capital letters or digits.
        stretch: Factors of the picture's sides.
        held_out: Take a font that training never uses.
        pillow: Share of signs in Pillow's own font.
    """
    font = "" if not held_out and rng.random() < pillow else fonts.random_font(rng, held_out=held_out)
    ground = random_backdrop(rng) if rng.random() < 0.7 else (255, 255, 255)
    sign = _sign(rng, text, font, (0.0, SIZE_PX), ground, stretch)
    return Scene((), sign, ground, stretch=stretch)


def letter_page(rng: random.Random, *, lines: int = 3, stretch: Stretch = SQUARE) -> Scene:
    """Fill a picture with lines of three to six random letters or digits, each line in its own font."""
    ground = random_backdrop(rng) if rng.random() < 0.7 else (255, 255, 255)
    signs = []
    for line in range(lines):
        glyphs = GLYPHS[:26] if rng.random() < 0.7 else GLYPHS[26:]
        text = "".join(rng.choices(glyphs, k=rng.randint(3, 5)))
        band = (line * SIZE_PX / lines, (line + 1) * SIZE_PX / lines)
        font = "" if rng.random() < 0.1 else fonts.random_font(rng)
        signs.append(_sign(rng, text, font, band, ground, stretch))
    return Scene((), signs[0], ground, tuple(signs[1:]), stretch)


def _sign(rng: random.Random, text: str, font: str, band: tuple[float, float], ground: Rgb, stretch: Stretch) -> Sign:
    """Put `text` between two heights."""
    across, down = stretch
    least, pad = (0.58, 0.08) if rng.random() < 0.4 else (0.0, rng.choice((0.0, 0.0, 0.03, 0.1)))
    shapes = fonts.load(font, 64)
    widths = [max(shapes.getlength(char) / 64 + pad, least) for char in text]
    em = min(rng.uniform(22.0, 42.0), (SIZE_PX - 2 * MARGIN_PX) * across / sum(widths), (band[1] - band[0]) * down)
    total = em * sum(widths) / across
    x = rng.uniform(MARGIN_PX, max(MARGIN_PX, SIZE_PX - MARGIN_PX - total))
    room = 0.45 * em / down
    y = rng.uniform(band[0] + room, max(band[0] + room, band[1] - room))
    colour, rgb = varied_colour(rng, ground, least=200)
    stroke = rng.choice((0, 0, 0, 1)) if font else rng.choice((0, 1, 1, 2))
    return Sign(text, colour, x, y, em, tuple(width * em for width in widths), stroke, rgb, font, stretch)
