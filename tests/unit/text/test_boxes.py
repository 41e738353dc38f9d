from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import RequestError
from edge.text.boxes import Box, Point, parse_boxes, parse_points

SIZE = {"width": 2000, "height": 500}


def corners(text: str) -> list[tuple[str | None, float, float, float, float]]:
    return [(box.label, box.x1, box.y1, box.x2, box.y2) for box in parse_boxes(text, **SIZE)]


CAT = ("cat", 200.0, 100.0, 600.0, 200.0)
PLAIN = '[{"bbox_2d": [100, 200, 300, 400], "label": "cat"}]'


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN[1:-1],
        f"```json\n{PLAIN}\n```",
        f"Here [1] it is {{so}}: ```json\n{PLAIN}\n``` That's a 5\" cat.",
        '{"label": "cat", "bbox_2d": ["100", "200.0", 300.0, 4e2]}',
        '{"label": "cat", "bbox_2d": "100 200 300 400"}',
        '{"label": "cat", "bbox_2d": "[100, 200, 300, 400]"}',
        '{"label": "cat", "bbox_2d": [[100, 200, 300, 400]]}',
        '{"objects": {"first": [{"note": {"a": 1}, "bbox_2d": [100, 200, 300, 400], "label": "cat"}]}}',
        "[{'bbox_2d': [100, 200, 300, 400], 'label': 'cat'}]",
        '[{"bbox_2d": [100, 200, 300, 400], "label": "cat",},]',
        '[{"label": "cat", "bbox_2d": [300, 400, 100, 200]}]',
        '[{"label": "cat", "bbox_2d": [300, 200, 100, 400]}]',
        PLAIN[:-1] + ', {"bbox_2d": [1, 2, 3',
        PLAIN[:-1] + ', {"bbox_2d": [1, 2, 3, 4], "label": "do',
        '{"found": ' + PLAIN[:-1],
        '{"bbox_2d": [1, 2, 3], "label": "dog"}' + PLAIN,
        '{"bbox_2d": [1, 2, 3, true]} {"bbox_2d": null} {"bbox_2d": [1, 2, 3, NaN]} {"bbox_2d": {"x": 1}}' + PLAIN,
        '{"bbox_2d": [1, 2, 3, 1' + "0" * 400 + "]}" + PLAIN,
    ],
)
def test_a_box_is_read_however_it_is_written(text: str) -> None:
    assert corners(text) == [CAT]


def test_boxes_of_several_fences_and_of_one_key_come_in_order() -> None:
    text = '```json\n[{"bbox_2d": [0, 0, 1, 2]}]\n```\nand\n```json\n{"bbox_2d": [[0, 0, 2, 2], [0, 0, 3, 2]]}\n```'
    assert [box.x2 for box in parse_boxes(text, **SIZE)] == [2.0, 4.0, 6.0]


def test_a_box_keeps_what_the_model_wrote() -> None:
    (box,) = parse_boxes('{"bbox_2d": [300, 400, 100, 200], "text_content": "Total", "label": 7}', **SIZE)
    assert box == Box("7", 200.0, 100.0, 600.0, 200.0, (300, 400, 100, 200), fields={"text_content": "Total"})
    assert isinstance(hash(box), int)


def test_a_number_outside_the_picture_is_moved_to_its_edge_and_flagged() -> None:
    inside, outside = parse_boxes('[{"bbox_2d": [0, 0, 1000, 1000]}, {"bbox_2d": [-3, 0, 1002, 10]}]', **SIZE)
    assert (inside.is_clipped, outside.is_clipped) == (False, True)
    assert (outside.x1, outside.x2, outside.raw) == (0.0, 2000.0, (-3, 0, 1002, 10))


def test_whole_pixels_are_rounded_outwards() -> None:
    (box,) = parse_boxes('{"bbox_2d": [1, 1, 2, 3]}', width=1333, height=777)
    assert (box.x1, box.y2) == pytest.approx((1.333, 2.331))
    assert box.corners_px == (1, 0, 3, 3)


def test_another_scale_can_be_given() -> None:
    (box,) = parse_boxes('{"bbox_2d": [0, 0, 999, 999]}', width=10, height=20, scale=999)
    assert (box.x2, box.y2, box.is_clipped) == (10.0, 20.0, False)


def test_points_are_read_apart_from_boxes() -> None:
    text = '[{"point_2d": [500, 500], "label": "nose"}, {"point_2d": "1001 0"}, {"bbox_2d": [1, 2, 3, 4]}]'
    assert parse_points(text, **SIZE) == [
        Point("nose", 1000.0, 250.0, (500, 500)),
        Point(None, 2000.0, 0.0, (1001, 0), is_clipped=True),
    ]
    assert len(parse_boxes(text, **SIZE)) == 1


@pytest.mark.parametrize(
    "text", ["", "No cats.", "[]", "```json\n[]\n```", "bbox_2d: [1, 2, 3, 4]", "{" * 5000, "[" * 5000]
)
def test_an_answer_without_boxes_gives_none(text: str) -> None:
    assert parse_boxes(text, **SIZE) == []


@pytest.mark.parametrize("size", [{"width": 0, "height": 5}, {"width": 5, "height": -1}])
def test_a_picture_without_a_size_is_refused(size: dict[str, int]) -> None:
    with pytest.raises(RequestError, match="above 0, found"):
        parse_boxes(PLAIN, **size)


BOXES = st.lists(st.tuples(*[st.integers(0, 1000)] * 4), min_size=1, max_size=5)


@given(BOXES, st.integers(0, 400))
def test_a_cut_off_answer_gives_the_objects_that_are_complete(raws: list[tuple[int, ...]], cut: int) -> None:
    items = [json.dumps({"bbox_2d": raw, "label": f'the "{i}" }} one'}) for i, raw in enumerate(raws)]
    text = "```json\n[" + ",\n".join(items) + "]\n```"
    kept = text[: min(cut, len(text))]
    complete = sum(kept.startswith("```json\n[" + ",\n".join(items[: i + 1])) for i in range(len(items)))
    assert [box.raw for box in parse_boxes(kept, **SIZE)] == raws[:complete]


@given(st.text(alphabet="[]{}\",:1 '\\abx-", max_size=60))
def test_no_text_makes_the_reader_fail(text: str) -> None:
    assert parse_boxes(text + '{"bbox_2d": [1, 2, 3, 4]}', **SIZE) is not None
