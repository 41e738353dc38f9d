"""Draw the boxes and points of an answer on a copy of the picture, with labels that can be read at any size.

In: a picture as the model was given it, and marks in its pixels (`edge.text.boxes`). Out: an RGB picture; small ones
are enlarged first, so that a label has room. Marks with one label have one colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from edge.errors import MediaError
from edge.prompt.media.picture import load_image
from edge.text.boxes import Box, Point

Colour = tuple[int, int, int]

COLOURS: tuple[Colour, ...] = (
    (230, 25, 75),
    (0, 130, 200),
    (60, 180, 75),
    (245, 130, 48),
    (145, 30, 180),
    (0, 128, 128),
    (240, 50, 230),
    (128, 96, 0),
)
LEAST_SIDE = 640
"""A picture whose longer side is shorter is enlarged by a whole number until it is not."""
# The font that comes with Pillow has Latin letters; these have more, where a system has one of them.
_WIDE_FONTS = ("PingFang.ttc", "Hiragino Sans GB.ttc", "NotoSansCJK-Regular.ttc", "msyh.ttc", "DejaVuSans.ttf")
_LAST_LATIN = "\u024f"


def draw_marks(source: object, marks: Sequence[Box | Point]) -> Image.Image:
    """Draw boxes and points on a copy of a picture.

    Args:
        source: The picture, as a request takes it: path, data URL, bytes, file object, PIL picture or array.
        marks: In pixels of the picture as it was given; a mark without a label gets its number.

    Raises:
        MediaError: The picture cannot be read.
    """
    picture = Image.fromarray(load_image(source, label="picture"))
    factor = max(1, -(-LEAST_SIDE // max(picture.size)))
    if factor > 1:
        picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    pen = _Pen(picture)
    colours: dict[str, Colour] = {}
    labels = [pen.writable(mark.label, number) for number, mark in enumerate(marks, 1)]
    for label, mark in zip(labels, marks, strict=True):
        key = mark.label or label
        colour = colours.setdefault(key, COLOURS[len(colours) % len(COLOURS)])
        if isinstance(mark, Box):
            pen.box((mark.x1 * factor, mark.y1 * factor, mark.x2 * factor, mark.y2 * factor), colour)
        else:
            pen.point((mark.x * factor, mark.y * factor), colour)
    # Labels come last, so that no line runs through one.
    for label, mark in zip(labels, marks, strict=True):
        at = (mark.x1, mark.y1) if isinstance(mark, Box) else (mark.x, mark.y)
        pen.label((at[0] * factor, at[1] * factor), label, colours[mark.label or label])
    return picture


def save_marks(source: object, marks: Sequence[Box | Point], *, path: Path) -> Path:
    """Draw as `draw_marks` does and write a PNG.

    Args:
        source: The picture.
        marks: What to draw.
        path: The file; one that is there is left alone, and the next free name is taken.

    Returns:
        The file that was written.

    Raises:
        MediaError: The picture cannot be read, or the file not be written.
    """
    picture = draw_marks(source, marks)
    free = path.with_suffix(".png")
    number = 2
    while True:
        try:
            with free.open("xb") as file:
                picture.save(file, "PNG")
            return free
        except FileExistsError:
            free, number = path.with_name(f"{path.stem}-{number}.png"), number + 1
        except OSError as error:
            raise MediaError(f"{free}: the picture cannot be written ({error.strerror}). Choose a folder.") from None


class _Pen:
    """Draws on one picture, with lines and letters that fit its size."""

    def __init__(self, picture: Image.Image) -> None:
        self._draw = ImageDraw.Draw(picture)
        self._width, self._height = picture.size
        self._line = max(2, round(max(picture.size) / 320))
        self._size = max(14, round(max(picture.size) / 48))

    def writable(self, label: str | None, number: int) -> str:
        """Return a label in one line that a font here can write; the mark's number otherwise."""
        text = " ".join((label or "").split())
        if not text or (max(text) > _LAST_LATIN and _wide_font(self._size) is None):
            return f"#{number}"
        while len(text) > 1 and self._extent(text)[0] > self._width:
            text = text[:-2].rstrip() + "…"
        return text

    def box(self, corners: tuple[float, float, float, float], colour: Colour) -> None:
        """Draw an outline, all of it inside the picture."""
        left, top, right, bottom = corners
        right, bottom = min(right, self._width - 1), min(bottom, self._height - 1)
        left, top = min(left, right), min(top, bottom)
        self._draw.rectangle((left, top, right, bottom), outline=colour, width=self._line)

    def point(self, at: tuple[float, float], colour: Colour) -> None:
        """Draw a dot with a white rim."""
        radius = 2 * self._line
        circle = (at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius)
        self._draw.ellipse(circle, fill=colour, outline=(255, 255, 255), width=max(1, self._line // 2))

    def label(self, at: tuple[float, float], text: str, colour: Colour) -> None:
        """Write above a place, or below where there is no room, moved in from the right edge."""
        width, height = self._extent(text)
        left = max(0.0, min(at[0], self._width - width))
        top = at[1] - height if at[1] >= height else min(at[1], self._height - height)
        self._draw.rectangle((left, top, left + width - 1, top + height - 1), fill=colour)
        red, green, blue = colour
        is_light = 0.299 * red + 0.587 * green + 0.114 * blue > 150
        ink = (0, 0, 0) if is_light else (255, 255, 255)
        self._draw.text((left + self._line, top + self._line), text, fill=ink, font=self._font(text), anchor="la")

    def _extent(self, text: str) -> tuple[float, float]:
        """Return width and height of a label, its margin included."""
        _, _, right, bottom = self._draw.textbbox((0, 0), text, font=self._font(text), anchor="la")
        return right + 2 * self._line, bottom + 2 * self._line

    def _font(self, text: str) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
        wide = _wide_font(self._size) if max(text.replace("…", " ")) > _LAST_LATIN else None
        return wide or ImageFont.load_default(self._size)


@lru_cache(maxsize=8)
def _wide_font(size: int) -> ImageFont.FreeTypeFont | None:
    """Return a font with more than Latin letters, where the system has one that is known."""
    for name in _WIDE_FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return None
