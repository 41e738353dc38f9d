from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge.draw import COLOURS, LEAST_SIDE, draw_marks, save_marks
from edge.errors import MediaError
from edge.text.boxes import Box, Point, parse_boxes, parse_points


def grey(width: int, height: int) -> Image.Image:
    return Image.new("RGB", (width, height), (90, 90, 90))


def box(x1: float, y1: float, x2: float, y2: float, label: str | None = "cat") -> Box:
    return Box(label, x1, y1, x2, y2, (0, 0, 0, 0))


def pixel(picture: Image.Image, x: float, y: float) -> tuple[int, ...]:
    found = picture.getpixel((int(x), int(y)))
    assert isinstance(found, tuple)
    return found


@pytest.mark.parametrize("size", [(1600, 1200), (800, 2400), (6000, 4000)])
def test_the_outline_lies_on_the_boxs_edges_and_the_inside_is_kept(size: tuple[int, int]) -> None:
    width, height = size
    x1, y1, x2, y2 = width * 0.25, height * 0.5, width * 0.75, height * 0.75
    drawn = draw_marks(grey(*size), [box(x1, y1, x2, y2)])
    assert drawn.size == size
    assert pixel(drawn, x2, (y1 + y2) / 2) == COLOURS[0]
    assert pixel(drawn, (x1 + x2) / 2, y2) == COLOURS[0]
    assert pixel(drawn, (x1 + x2) / 2, (y1 + y2) / 2) == (90, 90, 90)
    assert pixel(drawn, x1 - 40, (y1 + y2) / 2) == (90, 90, 90)


@pytest.mark.parametrize("size", [(40, 30), (300, 20), (1000, 1000), (4096, 4096)])
def test_labels_are_large_enough_and_inside_the_picture_at_any_size(size: tuple[int, int]) -> None:
    drawn = draw_marks(grey(*size), [box(size[0] * 0.9, 0, size[0], size[1], "a long label of a cat on a mat")])
    assert max(drawn.size) >= LEAST_SIDE
    assert drawn.width % size[0] == 0
    ink = np.all(np.array(drawn) == (255, 255, 255), axis=-1)
    rows = np.flatnonzero(ink.any(axis=1))
    columns = np.flatnonzero(ink.any(axis=0))
    letters = rows[-1] - rows[0] + 1
    assert letters >= 10
    assert letters >= max(drawn.size) / 90
    assert columns[-1] < drawn.width - 1


def test_marks_of_one_label_have_one_colour_and_others_another() -> None:
    marks = [box(100, 200, 300, 400), box(500, 200, 700, 400, "dog"), box(100, 600, 300, 800)]
    drawn = draw_marks(grey(1000, 1000), marks)
    assert [pixel(drawn, mark.x2, mark.y2 - 50) for mark in marks] == [COLOURS[0], COLOURS[1], COLOURS[0]]


def test_points_are_dots_and_what_has_no_label_gets_its_number() -> None:
    drawn = draw_marks(grey(1000, 1000), [Point(None, 500, 500, (0, 0)), Point(None, 200, 200, (0, 0))])
    assert pixel(drawn, 500, 500) == COLOURS[0]
    assert pixel(drawn, 200, 200) == COLOURS[1]


def test_the_numbers_of_an_answer_land_on_the_picture_as_given() -> None:
    text = '[{"bbox_2d": [250, 500, 750, 1000], "label": "x"}, {"point_2d": [100, 100], "label": "p"}]'
    marks: list[Box | Point] = [
        *parse_boxes(text, width=2000, height=1000),
        *parse_points(text, width=2000, height=1000),
    ]
    drawn = draw_marks(grey(2000, 1000), marks)
    assert pixel(drawn, 1500, 700) == COLOURS[0]
    assert pixel(drawn, 1000, 999) == COLOURS[0]
    assert pixel(drawn, 200, 100) == COLOURS[1]


@pytest.mark.parametrize("label", ["", "  ", "猫", "two\nlines", "é" * 400, None])
def test_every_label_can_be_drawn(label: str | None) -> None:
    drawn = draw_marks(
        grey(700, 700), [box(10, 10, 600, 600, label), box(0, 0, 700, 700, label), box(5, 5, 5, 5, label)]
    )
    assert drawn.size == (700, 700)


def test_a_rotated_photo_is_drawn_upright(tmp_path: Path) -> None:
    photo = grey(800, 1000)
    photo.putpixel((0, 0), (255, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.save(tmp_path / "photo.png", exif=exif)
    assert draw_marks(tmp_path / "photo.png", []).size == (1000, 800)


def test_files_are_never_written_over(tmp_path: Path) -> None:
    marks = [box(10, 10, 50, 50)]
    names = [save_marks(grey(700, 700), marks, path=tmp_path / "boxes.jpg").name for _ in range(3)]
    assert names == ["boxes.png", "boxes-2.png", "boxes-3.png"]
    with Image.open(tmp_path / "boxes-2.png") as saved:
        assert (saved.format, saved.size) == ("PNG", (700, 700))
    with pytest.raises(MediaError, match="cannot be written"):
        save_marks(grey(9, 9), marks, path=tmp_path / "none" / "boxes.png")
