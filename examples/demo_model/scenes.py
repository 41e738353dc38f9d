"""Rendered scenes: coloured shapes on a 3x3 grid of places, and signs with a short text.

In: a seeded `random.Random`. Out: a `Scene` that can be drawn at any scale and knows the box of everything in it.
All lengths are model pixels (the picture the vision tower sees is 128x128); drawing at scale 2 gives 256x256. A picture
that is not square has the same 128x128 coordinates, stretched as it is drawn: `stretch` holds the factors of x and y.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace

from PIL import Image, ImageDraw

from .looks import fonts
from .looks.backdrops import WHITE

SIZE_PX = 128
SHAPES = ("circle", "square", "triangle", "star", "cross")
COLOURS = {
    "red": (215, 35, 35),
    "orange": (250, 140, 20),
    "yellow": (240, 215, 30),
    "green": (40, 155, 60),
    "blue": (40, 80, 220),
    "purple": (145, 55, 185),
    "black": (25, 25, 25),
}
COLOUR_NAMES = (*COLOURS, WHITE)  # every colour of a thing
BACKGROUNDS = ((255, 255, 255), (225, 225, 225), (250, 240, 215), (210, 230, 245))
PLACES = (
    "at the top left", "at the top", "at the top right",
    "on the left", "in the center", "on the right",
    "at the bottom left", "at the bottom", "at the bottom right",
)  # fmt: skip
GLYPHS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Thing:
    """One shape: its name, colour, cell of the 3x3 grid, centre and edge length in model pixels, colour as drawn."""

    shape: str
    colour: str
    cell: int
    x: float
    y: float
    size: float
    rgb: tuple[int, int, int]
    stretch: tuple[float, float] = (1.0, 1.0)

    @property
    def name(self) -> str:
        """Colour and shape, as in `red circle`."""
        return f"{self.colour} {self.shape}"

    @property
    def place(self) -> str:
        """Where it is, as in `at the top left`."""
        return PLACES[self.cell]

    def points(self) -> list[tuple[float, float]]:
        """Return the outline as a polygon (a circle as its two box corners)."""
        across, down = self.stretch
        return [(self.x + dx / across, self.y + dy / down) for dx, dy in self._outline()]

    def _outline(self) -> list[tuple[float, float]]:
        """Return the outline around (0, 0), not stretched."""
        r = self.size / 2
        if self.shape in ("circle", "square"):
            return [(-r, -r), (r, r)]
        if self.shape == "triangle":
            return [(0.0, -r), (r, r), (-r, r)]
        if self.shape == "cross":
            a = r / 3
            half = [(-a, -r), (a, -r), (a, -a), (r, -a), (r, a), (a, a), (a, r), (-a, r), (-a, a), (-r, a), (-r, -a)]
            return [*half, (-a, -a)]
        spikes = []
        for i in range(10):
            radius = r if i % 2 == 0 else 0.42 * r
            angle = math.pi * i / 5
            spikes.append((radius * math.sin(angle), -radius * math.cos(angle)))
        return spikes

    def box(self) -> Box:
        """Return the tight box (x1, y1, x2, y2)."""
        xs, ys = zip(*self.points(), strict=True)
        return min(xs), min(ys), max(xs), max(ys)


@dataclass(frozen=True, slots=True)
class Sign:
    """A text in the picture: left edge and middle line, em size, advance of each glyph, in model pixels."""

    text: str
    colour: str
    x: float
    y: float
    em: float
    advances: tuple[float, ...]
    stroke: int
    rgb: tuple[int, int, int]
    font: str = ""
    stretch: tuple[float, float] = (1.0, 1.0)

    @property
    def half_px(self) -> float:
        """Half the height of a capital letter as drawn."""
        return 0.36 * self.em if not self.font else fonts.capital_height(self.font) / 2 * self.em

    def glyph_boxes(self) -> list[Box]:
        """Return one box per character: its advance wide, its capital height high."""
        boxes, left, half = [], self.x, self.half_px / self.stretch[1]
        for advance in self.advances:
            right = left + advance / self.stretch[0]
            boxes.append((left, self.y - half, right, self.y + half))
            left = right
        return boxes


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture's content: things in raster order of their cells, perhaps a sign, and the background.

    `more_signs` are further lines of text, in pictures from which the tower learns letters; no question is about them.
    """

    things: tuple[Thing, ...]
    sign: Sign | None
    background: tuple[int, int, int]
    more_signs: tuple[Sign, ...] = ()
    stretch: tuple[float, float] = (1.0, 1.0)

    @property
    def signs(self) -> tuple[Sign, ...]:
        """Every line of text, from top to bottom."""
        return () if self.sign is None else (self.sign, *self.more_signs)

    def draw(self, scale: float = 2) -> Image.Image:
        """Draw the scene as an RGB picture of the area of `SIZE_PX * scale` pixels square."""
        across, down = (scale * factor for factor in self.stretch)
        image = Image.new("RGB", (round(SIZE_PX * across), round(SIZE_PX * down)), self.background)
        pen = ImageDraw.Draw(image)
        for thing in self.things:
            points = [(x * across, y * down) for x, y in thing.points()]
            if thing.shape == "circle":
                pen.ellipse(points, fill=thing.rgb)
            elif thing.shape == "square":
                pen.rectangle(points, fill=thing.rgb)
            else:
                pen.polygon(points, fill=thing.rgb)
        for sign in self.signs:
            font = fonts.load(sign.font, round(sign.em * scale))
            for char, box in zip(sign.text, sign.glyph_boxes(), strict=True):
                centre = ((box[0] + box[2]) / 2 * across, (box[1] + box[3]) / 2 * down + sign.half_px * scale)
                pen.text(centre, char, font=font, fill=sign.rgb, anchor="ms", stroke_width=sign.stroke)
        return image


def random_scene(rng: random.Random, *, low: int = 1, high: int = 5) -> Scene:
    """Draw `low` to `high` things in different cells."""
    cells = sorted(rng.sample(range(9), rng.randint(low, high)))
    return Scene(tuple(random_thing(rng, cell) for cell in cells), None, rng.choice(BACKGROUNDS))


def random_thing(rng: random.Random, cell: int) -> Thing:
    """Draw one thing that lies fully inside its cell."""
    step = SIZE_PX / 3
    size = rng.uniform(25.0, 40.0)
    slack = (step - size) / 2 - 0.5
    x = (cell % 3 + 0.5) * step + rng.uniform(-slack, slack)
    y = (cell // 3 + 0.5) * step + rng.uniform(-slack, slack)
    colour = rng.choice(list(COLOURS))
    return Thing(rng.choice(SHAPES), colour, cell, x, y, size, jitter(rng, colour))


def sign_scene(rng: random.Random, text: str) -> Scene:
    """Put `text` at a random place, in letters of at least 14 pixels each."""
    return Scene((), _random_sign(rng, text, (0.0, SIZE_PX)), rng.choice(BACKGROUNDS))


def letter_scene(rng: random.Random, *, lines: int = 3) -> Scene:
    """Fill a picture with lines of three to five random letters or digits."""
    signs = []
    for line in range(lines):
        glyphs = GLYPHS[:26] if rng.random() < 0.6 else GLYPHS[26:]
        text = "".join(rng.choices(glyphs, k=rng.randint(3, 5)))
        signs.append(_random_sign(rng, text, (line * SIZE_PX / lines, (line + 1) * SIZE_PX / lines)))
    return Scene((), signs[0], rng.choice(BACKGROUNDS), tuple(signs[1:]))


def _random_sign(rng: random.Random, text: str, band: tuple[float, float]) -> Sign:
    """Put `text` between two heights."""
    em = rng.uniform(26.0, 34.0)
    stroke = rng.choice((0, 1, 1, 2))
    natural = [fonts.load("", 64).getlength(char) / 64 for char in text]
    widths = [max(width + 0.08, 0.58) for width in natural]
    em = min(em, 122.0 / sum(widths))
    total = em * sum(widths)
    x = rng.uniform(3.0, SIZE_PX - 3.0 - total) if total < SIZE_PX - 6 else (SIZE_PX - total) / 2
    y = rng.uniform(band[0] + 0.45 * em, band[1] - 0.45 * em)
    colour = rng.choice(list(COLOURS))
    if colour == "yellow":
        colour = "black"
    return Sign(text, colour, x, y, em, tuple(width * em for width in widths), stroke, jitter(rng, colour))


def with_things(scene: Scene, things: list[Thing]) -> Scene:
    """Return the scene with other things, put in raster order."""
    return replace(scene, things=tuple(sorted(things, key=lambda thing: thing.cell)))


def jitter(rng: random.Random, colour: str) -> tuple[int, int, int]:
    """Return the colour's RGB, each channel moved by up to 15 levels."""
    red, green, blue = (min(255, max(0, value + rng.randint(-15, 15))) for value in COLOURS[colour])
    return red, green, blue
