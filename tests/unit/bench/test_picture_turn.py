"""A turn with a picture: what is timed sees the picture, and other runtimes see the same."""

from __future__ import annotations

from dataclasses import replace

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from edge.bench.device_check import check_config
from edge.bench.peer_models import mlx_vlm_model
from edge.bench.picture_turn import PictureTurn, SeeingRunner, random_turn, turn_figures
from edge.bench.random_model import random_model, random_parameters
from edge.bench.runners import MlxVlmRunner, OurRunner, decode_s

CONFIG = check_config(3)
GRID = (1, 4, 6)


def tokens(runner: SeeingRunner, turns: list[PictureTurn]) -> list[int]:
    return [int(np.array(runner.first_token(turn))[0]) for turn in turns]


def turns() -> list[PictureTurn]:
    """Eight pictures with one question."""
    one, numbers = random_turn(CONFIG, GRID), np.random.default_rng(5)
    return [replace(one, patches=5 * numbers.standard_normal(one.patches.shape, dtype=np.float32)) for _ in range(8)]


def test_a_turn_has_one_picture_between_its_marks() -> None:
    turn = random_turn(CONFIG, GRID)
    assert turn.patches.shape == (24, CONFIG.vision.patch_values)
    assert turn.token_ids[0] == CONFIG.vision_start_token_id
    assert (turn.token_ids[1:7] == CONFIG.image_token_id).all()
    assert turn.token_ids[7] == CONFIG.vision_end_token_id
    assert (turn.token_ids[8:] < 1000).all()


def test_the_first_token_depends_on_the_picture_and_not_on_the_turn_before() -> None:
    runner = OurRunner(random_model(CONFIG, dtype=mx.float32))
    found = tokens(runner, turns())
    assert len(set(found)) > 1
    assert tokens(runner, turns()) == found


def test_figures_tell_time_and_peak() -> None:
    runner = OurRunner(random_model(CONFIG, dtype=mx.float32))
    figures = {figure.what: figure for figure in turn_figures([runner], random_turn(CONFIG, GRID), repeats=2)}
    assert figures.keys() == {"picture first token", "picture peak beside weights"}
    assert len(figures["picture first token"].runs) == 2
    assert min(figure.value for figure in figures.values()) > 0


def test_mlx_vlm_sees_the_same() -> None:
    pytest.importorskip("mlx_vlm", reason="mlx-vlm is not installed", exc_type=ImportError)
    model = mlx_vlm_model(CONFIG, lambda: dict(random_parameters(CONFIG, dtype=mx.float32)))
    for block in model.vision_tower.blocks:  # 0.7.10 has the two kinds changed about
        block.mlp.act_fn = nn.GELU(approx="tanh")
    for merger in (model.vision_tower.merger, *model.vision_tower.deepstack_merger_list):
        merger.act_fn = nn.GELU()
    ours, theirs = OurRunner(random_model(CONFIG, dtype=mx.float32)), MlxVlmRunner(model)
    assert tokens(ours, turns()) == tokens(theirs, turns())
    assert tokens(ours, turns()) != tokens(theirs, [replace(turn, patches=-turn.patches) for turn in turns()])
    assert decode_s(theirs, 2) > 0
    figures = {figure.what: figure for figure in turn_figures([ours, theirs], turns()[0], repeats=1)}
    assert figures["picture speed, to mlx-vlm"].value > 0
