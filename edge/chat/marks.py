"""Boxes and points in the last answer of a talk: a line about them, and the picture that they are drawn on.

In: a talk. Out: marks in pixels of a picture of the talk, by default the last one, as the model was given it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge.chat.asking.message import media_parts, text_of
from edge.errors import UsageError
from edge.records import dataclass
from edge.text.boxes import BOX_KEY, POINT_KEY, Box, Point, parse_boxes, parse_points

if TYPE_CHECKING:
    from edge.answer import Answer
    from edge.chat.talk import Talk


@dataclass(frozen=True, slots=True)
class Marked:
    """Marks on a picture.

    Attributes:
        name: What the user calls the picture.
        source: The picture.
        size: Height and width, in pixels.
        marks: Boxes, then points.
    """

    name: str
    source: Any  # Any: what a message may hold: path, data URL, bytes
    size: tuple[int, int]
    marks: tuple[Box | Point, ...]

    @property
    def lines(self) -> list[str]:
        """Each mark in a line, in whole pixels."""
        height, width = self.size
        rows = []
        for number, mark in enumerate(self.marks, 1):
            if isinstance(mark, Box):
                left, top, right, bottom = mark.corners_px
                place = f"box ({left}, {top}) to ({right}, {bottom})"
            else:
                place = f"point ({round(mark.x)}, {round(mark.y)})"
            label = " ".join((mark.label or "").split())
            rows.append(f"#{number} {label}: {place}" if label else f"#{number}: {place}")
        return [*rows, f"in pixels of {self.name}, {width}x{height}, from the upper left"]


def mark_note(talk: Talk, answer: Answer) -> str | None:
    """Say in one line that an answer has marks, and what shows them; None without marks or pictures."""
    if not (BOX_KEY in answer.text or POINT_KEY in answer.text) or not _pictures(talk):
        return None
    marks = find_marks(answer.text, (1000, 1000))
    num_boxes = sum(isinstance(mark, Box) for mark in marks)
    counts = [_count(num_boxes, "box", "boxes"), _count(len(marks) - num_boxes, "point", "points")]
    found = " and ".join(count for count in counts if count)
    return f"({found}: /boxes shows {'it' if len(marks) == 1 else 'them'} on the picture, in pixels)" if found else None


def last_marked(talk: Talk, number: int | None = None) -> Marked:
    """Read the marks of the last answer.

    Args:
        talk: The talk.
        number: Which of its pictures they are on, counted from 1; the last one if None.

    Raises:
        UsageError: There is no answer with marks, or no such picture.
        MediaError: The picture cannot be read any more.
    """
    from edge.prompt.media.picture import load_image

    said = [text_of(message) for message in talk.messages if message["role"] == "assistant"]
    if not said or not find_marks(said[-1], (1000, 1000)):
        raise UsageError('The last answer has no boxes or points. Ask: "Where is the ...? Answer with bbox_2d JSON."')
    pictures = _pictures(talk)
    if not pictures:
        raise UsageError("There is no picture in this talk to draw on.")
    if number is not None and not 1 <= number <= len(pictures):
        raise UsageError(f"/boxes: expected the number of a picture, 1 to {len(pictures)}, found {number}.")
    source = pictures[-1 if number is None else number - 1]
    name = talk.keeper.name_of(source, otherwise="the picture")
    height, width = load_image(source, label=name).shape[:2]
    return Marked(name, source, (height, width), find_marks(said[-1], (height, width)))


def find_marks(text: str, size: tuple[int, int]) -> tuple[Box | Point, ...]:
    """Read boxes and points out of a text.

    Args:
        text: An answer.
        size: Height and width of the picture, in pixels.
    """
    height, width = size
    return (*parse_boxes(text, width=width, height=height), *parse_points(text, width=width, height=height))


def _pictures(talk: Talk) -> list[Any]:  # Any: as in `Marked`
    parts = [part for message in talk.messages for part in media_parts(message)]
    return [part["image"] for part in parts if part["type"] == "image"]


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}" if number else ""
