"""Draw the pictures and the video of the built-in prompts: documents, charts and scenes, by this program alone.

No file, no font and no random number from outside: the same pixels everywhere (Pillow's own font, Apache-2.0 as the
rest of this repository).
"""

from __future__ import annotations

from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

Picture = Image.Image
_INK, _PAPER = (24, 26, 33), (250, 249, 245)
COLOURS = {
    "red": (201, 52, 48),
    "blue": (46, 92, 180),
    "green": (62, 140, 78),
    "yellow": (235, 190, 60),
    "grey": (150, 154, 160),
}


def document(lines: tuple[str, ...], *, title: str, width: int = 448, height: int = 320) -> Picture:
    """Set a title and lines of text on paper."""
    picture, pen = _canvas(width, height, _PAPER)
    pen.text((20, 14), title, fill=_INK, font=_font(22))
    pen.line((20, 46, width - 20, 46), fill=_INK, width=2)
    for index, line in enumerate(lines):
        pen.text((20, 58 + 24 * index), line, fill=_INK, font=_font(15))
    return picture


def bar_chart(values: dict[str, int], *, title: str, width: int = 416, height: int = 288) -> Picture:
    """Draw labelled bars with their values on top."""
    picture, pen = _canvas(width, height, (255, 255, 255))
    pen.text((16, 8), title, fill=_INK, font=_font(18))
    base, left, tallest = height - 36, 28, max(values.values())
    pen.line((left, base, width - 12, base), fill=_INK, width=2)
    step = (width - left - 12) // len(values)
    for index, ((label, value), colour) in enumerate(zip(values.items(), COLOURS.values(), strict=False)):
        x = left + index * step + step // 6
        top = base - round((base - 64) * value / tallest)
        pen.rectangle((x, top, x + step * 2 // 3, base), fill=colour)
        pen.text((x, base + 6), label, fill=_INK, font=_font(14))
        pen.text((x, top - 20), str(value), fill=_INK, font=_font(14))
    return picture


def line_chart(points: tuple[int, ...], *, title: str, width: int = 384, height: int = 256) -> Picture:
    """Draw one curve over evenly spaced points."""
    picture, pen = _canvas(width, height, (255, 255, 255))
    pen.text((16, 8), title, fill=_INK, font=_font(18))
    base, left, tallest = height - 24, 32, max(points)
    pen.line((left, 40, left, base, width - 12, base), fill=_INK, width=2)
    step = (width - left - 24) / (len(points) - 1)
    places = [(left + index * step, base - (base - 48) * value / tallest) for index, value in enumerate(points)]
    pen.line(places, fill=COLOURS["blue"], width=3)
    for x, y in places:
        pen.ellipse((x - 4, y - 4, x + 4, y + 4), fill=COLOURS["red"])
    return picture


def landscape(*, sun: str = "yellow", trees: int = 3, width: int = 352, height: int = 256) -> Picture:
    """Draw a house, a sun and trees on a meadow."""
    picture, pen = _canvas(width, height, (176, 214, 240))
    ground = height * 2 // 3
    pen.rectangle((0, ground, width, height), fill=(120, 178, 92))
    pen.ellipse((width - 84, 18, width - 30, 72), fill=COLOURS[sun])
    pen.rectangle((48, ground - 72, 148, ground + 12), fill=(222, 206, 178), outline=_INK)
    pen.polygon(((40, ground - 72), (98, ground - 120), (156, ground - 72)), fill=COLOURS["red"])
    pen.rectangle((86, ground - 34, 110, ground + 12), fill=(110, 72, 44))
    for index in range(trees):
        x = 190 + 44 * index
        pen.rectangle((x + 12, ground - 20, x + 20, ground + 20), fill=(110, 72, 44))
        pen.ellipse((x, ground - 64, x + 32, ground - 12), fill=COLOURS["green"])
    return picture


def shapes(*items: tuple[str, str], width: int = 288, height: int = 224) -> Picture:
    """Draw coloured squares, circles and triangles in a row."""
    picture, pen = _canvas(width, height, (238, 238, 240))
    step = width // len(items)
    size = min(step, height) * 2 // 3
    for index, (colour, form) in enumerate(items):
        x, y = index * step + (step - size) // 2, (height - size) // 2
        box = (x, y, x + size, y + size)
        if form == "circle":
            pen.ellipse(box, fill=COLOURS[colour])
        elif form == "square":
            pen.rectangle(box, fill=COLOURS[colour])
        else:
            pen.polygon(((x, y + size), (x + size // 2, y), (x + size, y + size)), fill=COLOURS[colour])
    return picture


def rolling_ball(num_frames: int = 8, *, width: int = 288, height: int = 192) -> list[Picture]:
    """Draw a ball that rolls from left to right and turns from blue to red half way."""
    frames = []
    for index in range(num_frames):
        picture, pen = _canvas(width, height, (236, 232, 222))
        pen.rectangle((0, height - 40, width, height), fill=(150, 120, 90))
        x = 8 + (width - 72) * index // (num_frames - 1)
        colour = COLOURS["blue" if index < num_frames // 2 else "red"]
        pen.ellipse((x, height - 96, x + 56, height - 40), fill=colour)
        pen.text((width - 40, 8), str(index), fill=_INK, font=_font(18))
        frames.append(picture)
    return frames


def _canvas(width: int, height: int, colour: tuple[int, int, int]) -> tuple[Picture, ImageDraw.ImageDraw]:
    picture = Image.new("RGB", (width, height), colour)
    return picture, ImageDraw.Draw(picture)


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
