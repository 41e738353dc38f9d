"""How the demo recipe's pictures look: fonts, backgrounds, sides, and what their labels say."""

from __future__ import annotations

import random

import numpy as np
import pytest

from examples.demo_model import pack, pictures
from examples.demo_model.looks import backdrops, canvas, fonts, scenery, unknown
from examples.demo_model.scenes import COLOURS, SIZE_PX


def test_fonts_for_testing_are_of_families_that_training_never_uses() -> None:
    families = {name.split("-")[0].rstrip("0123456789") for name in fonts.SEEN}
    assert not families & {name.split("-")[0].rstrip("0123456789") for name in fonts.HELD_OUT}


def test_a_machine_without_the_fonts_draws_with_pillows_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "installed", dict)
    assert {fonts.random_font(random.Random(seed)) for seed in range(9)} == {""}
    assert scenery.varied_sign(random.Random(0), "OPEN").draw(1).size == (128, 128)


@pytest.mark.parametrize(
    ("height", "width", "grid"),
    [(512, 512, (8, 8)), (100, 200, (4, 10)), (300, 400, (6, 8)), (480, 270, (10, 6)), (40, 60, (8, 10))],
)
def test_a_picture_is_brought_to_the_grid_of_the_processor(height: int, width: int, grid: canvas.Grid) -> None:
    assert canvas.fit_grid(height, width) == grid


@pytest.mark.parametrize(
    ("frames", "side", "rows"), [(4, 256, 12), (5, 512, 12), (6, 256, 10), (7, 256, 10), (8, 256, 8), (4, 128, 8)]
)
def test_a_short_clip_keeps_more_of_each_frame_as_in_the_processor(frames: int, side: int, rows: int) -> None:
    assert canvas.fit_video_grid(frames, side, side) == (rows, rows)


def test_sides_differ_by_two_to_one_at_most_and_reach_the_wanted_grid() -> None:
    rng = random.Random(0)
    for grid in set(canvas.GRIDS):
        sides = canvas.sides_of(rng, grid)
        assert canvas.fit_grid(*sides) == grid
    pairs = [canvas.random_sides(rng) for _ in range(200)]
    assert max(max(pair) / min(pair) for pair in pairs) <= 2.02


@pytest.mark.parametrize("stretch", [(1.0, 1.0), canvas.stretch_of(100, 200), canvas.stretch_of(200, 100)])
def test_things_keep_their_shape_and_lie_inside_a_stretched_picture(stretch: canvas.Stretch) -> None:
    scenes = [scenery.varied_scene(random.Random(seed), low=5, stretch=stretch) for seed in range(40)]
    boxes = [thing.box() for scene in scenes for thing in scene.things]
    assert all(0 <= box[0] < box[2] <= SIZE_PX and 0 <= box[1] < box[3] <= SIZE_PX for box in boxes)
    sides = [((box[2] - box[0]) * stretch[0], (box[3] - box[1]) * stretch[1]) for box in boxes]
    assert all(abs(wide / high - 1) < 0.12 for wide, high in sides)  # a star is wider than high
    assert abs(scenes[0].draw(2).width / scenes[0].draw(2).height - stretch[0] / stretch[1]) < 0.02


def test_every_thing_and_letter_stands_out_from_its_background() -> None:
    for seed in range(200):
        scene = scenery.varied_scene(random.Random(seed))
        assert all(backdrops.distance(thing.rgb, scene.background) > 100 for thing in scene.things)
        sign = scenery.varied_sign(random.Random(seed), "STOP").sign
        assert sign is not None
        assert sign.colour in {*COLOURS, backdrops.WHITE}


def test_a_sign_in_any_font_stays_inside_the_picture() -> None:
    for seed in range(200):
        scene = scenery.varied_sign(random.Random(seed), "MOUSE")
        assert scene.sign is not None
        boxes = scene.sign.glyph_boxes()
        assert boxes[0][0] >= 0
        assert boxes[-1][2] <= SIZE_PX
        assert 0 <= boxes[0][1] < boxes[0][3] <= SIZE_PX


def test_labels_of_a_wide_picture_follow_its_grid() -> None:
    grid = (4, 10)
    stretch = canvas.stretch_of(*canvas.sides_of(random.Random(1), grid))
    scene = scenery.varied_scene(random.Random(1), low=1, high=1, stretch=stretch)
    classes, digits = pictures.class_targets(scene, grid), pictures.digit_targets(scene, grid)
    assert classes.shape == (3, 40)
    assert digits.shape == (10, 8)
    place = int(np.flatnonzero(classes[2])[0]) // 4
    assert digits[place].min() >= 0
    assert place == int(scene.things[0].y // 64) * 5 + int(scene.things[0].x // 25.6)


def test_positions_of_a_wide_picture_go_on_after_its_longer_side() -> None:
    positions = pack.prefix_positions((5, *[9] * 10, 6), {9}, (4, 10))
    assert positions[:, 6].tolist() == [1, 2, 1]
    assert positions[:, -1].tolist() == [6, 6, 6]


def test_unknown_pictures_for_testing_are_of_other_kinds_than_those_for_training() -> None:
    pictures_seen = [unknown.unknown(random.Random(seed), (96, 64)) for seed in range(30)]
    held_out = [unknown.unknown(random.Random(seed), (96, 64), held_out=True) for seed in range(30)]
    assert {picture.size for picture in pictures_seen + held_out} == {(96, 64)}
    assert {picture.mode for picture in pictures_seen + held_out} == {"RGB"}
