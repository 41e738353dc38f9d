"""Read boxes and points out of an answer, in pixels of the picture as it was given.

In: text with JSON such as `[{"bbox_2d": [120, 40, 560, 900], "label": "cat"}]`, whose numbers run from 0 to 1000
over the width and the height. Out: `Box` and `Point`. Cut-off answers give their complete objects.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import field

from edge.errors import RequestError
from edge.records import dataclass
from edge.text.json_find import Json, find_objects

BOX_KEY = "bbox_2d"
POINT_KEY = "point_2d"
_SEPARATOR = re.compile(r"[\s,]+")


@dataclass(frozen=True, slots=True)
class Box:
    """A box in pixels of the picture, origin top left; x1 <= x2 and y1 <= y2.

    Attributes:
        label: What the model says is in it, if it does.
        x1: Left edge, 0 <= x1 <= width, a fraction of a pixel included; the other edges likewise.
        y1: Upper edge.
        x2: Right edge.
        y2: Lower edge.
        raw: The four numbers as the model wrote them, in its order.
        is_clipped: Whether a number lay outside the picture and was moved to its edge.
        fields: Everything else in the object, such as `text_content` in the reading of a page.
    """

    label: str | None
    x1: float
    y1: float
    x2: float
    y2: float
    raw: tuple[float, float, float, float]
    is_clipped: bool = False
    fields: Mapping[str, Json] = field(default_factory=dict, hash=False)

    @property
    def corners_px(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom in whole pixels, rounded outwards; fits `PIL.Image.crop`."""
        return math.floor(self.x1), math.floor(self.y1), math.ceil(self.x2), math.ceil(self.y2)


@dataclass(frozen=True, slots=True)
class Point:
    """A point in pixels of the picture, origin top left.

    Attributes:
        label: What the model says is there, if it does.
        x: From the left edge, 0 <= x <= width, a fraction of a pixel included.
        y: From the upper edge, likewise.
        raw: The two numbers as the model wrote them.
        is_clipped: Whether a number lay outside the picture and was moved to its edge.
        fields: Everything else in the object.
    """

    label: str | None
    x: float
    y: float
    raw: tuple[float, float]
    is_clipped: bool = False
    fields: Mapping[str, Json] = field(default_factory=dict, hash=False)


def parse_boxes(text: str, *, width: int, height: int, scale: float = 1000) -> list[Box]:
    """Read every `bbox_2d` of an answer.

    Corners in the wrong order are sorted. Values that are not four numbers are left out; numbers may be written as
    strings, and a key may hold several boxes.

    Args:
        text: The answer, finished or cut off; prose and fences around the JSON do no harm.
        width: Width of the picture as it was given, in pixels.
        height: Its height.
        scale: The number that stands for the full width and height.

    Raises:
        RequestError: A size or the scale is not above zero.
    """
    _check_sizes(width, height, scale)
    boxes = []
    for numbers, label, fields in _marked(text, BOX_KEY, 4):
        xs, x_clipped = _to_pixels(numbers[0::2], width / scale, width)
        ys, y_clipped = _to_pixels(numbers[1::2], height / scale, height)
        raw = (numbers[0], numbers[1], numbers[2], numbers[3])
        (x1, x2), (y1, y2) = sorted(xs), sorted(ys)
        boxes.append(Box(label, x1, y1, x2, y2, raw, x_clipped or y_clipped, fields))
    return boxes


def parse_points(text: str, *, width: int, height: int, scale: float = 1000) -> list[Point]:
    """Read every `point_2d` of an answer; arguments and errors are those of `parse_boxes`."""
    _check_sizes(width, height, scale)
    points = []
    for numbers, label, fields in _marked(text, POINT_KEY, 2):
        (x,), x_clipped = _to_pixels(numbers[:1], width / scale, width)
        (y,), y_clipped = _to_pixels(numbers[1:], height / scale, height)
        points.append(Point(label, x, y, (numbers[0], numbers[1]), x_clipped or y_clipped, fields))
    return points


def _check_sizes(width: int, height: int, scale: float) -> None:
    for name, value in (("width", width), ("height", height), ("scale", scale)):
        if not (value > 0 and math.isfinite(value)):
            raise RequestError(f"The {name} of the picture's coordinates should be above 0, found {value}.")


def _marked(text: str, key: str, count: int) -> Iterator[tuple[list[float], str | None, dict[str, Json]]]:
    """Yield the numbers, the label and the other fields of each box or point."""
    for item in find_objects(text):
        if key not in item:
            continue
        label = item.get("label")
        if isinstance(label, int | float) and not isinstance(label, bool):
            label = str(label)
        fields = {name: value for name, value in item.items() if name not in (key, "label")}
        for numbers in _number_lists(item[key], count):
            yield numbers, label if isinstance(label, str) else None, fields


def _number_lists(value: Json, count: int) -> Iterator[list[float]]:
    """Yield the value as `count` numbers, or each of its items so; nothing if it is neither."""
    if isinstance(value, str):
        value = _SEPARATOR.split(value.strip(" []()\t\r\n"))
    if not isinstance(value, list | tuple):
        return
    numbers = [_number(item) for item in value]
    found = [number for number in numbers if number is not None]
    if len(found) == len(numbers) == count:
        yield found
    elif all(isinstance(item, list | tuple) for item in value):
        for item in value:
            numbers = [_number(part) for part in item]
            found = [number for number in numbers if number is not None]
            if len(found) == len(numbers) == count:
                yield found


def _number(value: Json) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _to_pixels(numbers: list[float], pixels_per_unit: float, size: int) -> tuple[list[float], bool]:
    """Scale numbers to pixels between 0 and `size`; tell whether one lay outside."""
    pixels = [number * pixels_per_unit for number in numbers]
    clipped = [min(max(pixel, 0.0), float(size)) for pixel in pixels]
    return clipped, clipped != pixels
