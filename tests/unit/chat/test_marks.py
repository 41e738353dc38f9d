from __future__ import annotations

from edge.chat.marks import find_marks
from edge.text.boxes import Box, Point


def test_boxes_come_before_points_in_pixels() -> None:
    text = 'Here: {"point_2d": [500, 500]} and {"bbox_2d": [0, 0, 1000, 500], "label": "a"}'
    box, point = find_marks(text, (200, 400))
    assert isinstance(box, Box)
    assert box.corners_px == (0, 0, 400, 100)
    assert isinstance(point, Point)
    assert (point.x, point.y) == (200, 100)
    assert find_marks("nothing", (1, 1)) == ()
