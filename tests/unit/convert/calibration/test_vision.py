"""Pictures go through the tower once, by whichever program is quickest here, and land in their rows."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import numpy as np

from convert.calibration.vision import place_features, run_vision
from convert.verify.mlx_blocks import MlxBlocks
from convert.verify.quick_blocks import choose_blocks
from tests.unit.convert.calibration.calibrating import text_samples, tiny_source
from tests.unit.convert.verify.prompts import sample


def test_the_chosen_blocks_give_what_the_runtime_gives(tmp_path: Path) -> None:
    checkpoint = tiny_source(tmp_path / "source").checkpoint
    hidden = np.random.default_rng(0).standard_normal((16, 32)).astype(np.float32)
    own = MlxBlocks.from_checkpoint(checkpoint, dtype=mx.float32).vision_block(1, hidden, (1, 4, 4))
    found = choose_blocks(checkpoint).vision_block(1, hidden, (1, 4, 4))
    assert np.linalg.norm(found - own) / np.linalg.norm(own) < 1e-5


def test_prompts_without_pictures_run_no_tower(tmp_path: Path) -> None:
    assert run_vision(tiny_source(tmp_path / "source").checkpoint, text_samples()) == ([], [])


def test_features_land_behind_the_prompts_before() -> None:
    first, second = sample(1, 2, 3), sample(5, 91, 91, 6, span=(1, 2))
    hidden = np.zeros((7, 2), np.float32)
    place_features(hidden, [first, second], [np.array([[1, 2], [3, 4]], np.float32)])
    assert hidden.tolist() == [[0, 0], [0, 0], [0, 0], [0, 0], [1, 2], [3, 4], [0, 0]]
