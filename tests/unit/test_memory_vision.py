"""Memory of the vision tower: bounded by the stated formula, far from a full score matrix."""

from __future__ import annotations

from dataclasses import replace

import mlx.core as mx
import pytest

import edge.memory_vision
import edge.model.vision
import edge.model.vision_attention
from edge.config import VisionConfig
from edge.memory_vision import vision_peak_bytes
from edge.model.types import Grid
from edge.model.vision import VisionTower
from edge.products import by_mlx
from edge.run.flight import held_to
from tests.unit.model.tiny import VISION, randomize
from tests.unit.test_memory import VISION_30B

MIB = 1 << 20
BIG: Grid = (1, 64, 64)
FULL_SCORES = 4 * VISION.num_heads * 4096**2  # 201 MB
ONE_BLOCK = replace(VISION, depth=1, deepstack_indexes=(0,))
WIDE = replace(ONE_BLOCK, intermediate_size=2000)


def measured_peak(grids: list[Grid], config: VisionConfig = ONE_BLOCK) -> int:
    """Return what one call of a one-block tower takes beside weights and patches, held to its stated memory."""
    tower = VisionTower(config)
    randomize(tower)
    patches = mx.zeros((sum(t * h * w for t, h, w in grids), ONE_BLOCK.patch_values))
    mx.eval(patches, tower.parameters())
    mx.clear_cache()
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    with held_to(vision_peak_bytes(config, grids, value_bytes=4)):
        output = tower(patches, grids)
        mx.eval(output.features, *output.deepstack)
    return int(mx.get_peak_memory() - before)


@pytest.mark.parametrize("grids", [[BIG], [(4, 32, 32)], [(1, 32, 64), (1, 64, 32), (2, 16, 16)]])
def test_the_tower_stays_within_its_stated_memory(grids: list[Grid], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge.model.vision_attention, "CPU_SCORE_BYTES", 2 * MIB)
    assert measured_peak(grids) <= vision_peak_bytes(ONE_BLOCK, grids, value_bytes=4)


def test_a_big_picture_builds_no_full_score_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge.model.vision_attention, "CPU_SCORE_BYTES", 2 * MIB)
    assert vision_peak_bytes(ONE_BLOCK, [BIG], value_bytes=4) < FULL_SCORES / 2


def test_one_call_without_blocks_exceeds_the_stated_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge.model.vision_attention, "CPU_SCORE_BYTES", 2 * MIB)
    stated = vision_peak_bytes(ONE_BLOCK, [BIG], value_bytes=4)
    monkeypatch.setattr(edge.model.vision_attention, "score_bytes", lambda: 1 << 40)
    with by_mlx():  # numpy cuts its scores whatever they are
        assert measured_peak([BIG]) > stated


def test_the_feed_forward_part_widens_a_cut_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (edge.model.vision, edge.memory_vision):
        monkeypatch.setattr(module, "CUT_PATCHES", 512)
    monkeypatch.setattr(edge.model.vision_attention, "CPU_SCORE_BYTES", MIB)
    stated = vision_peak_bytes(WIDE, [BIG], value_bytes=4)
    assert measured_peak([BIG], WIDE) <= stated
    monkeypatch.setattr(edge.model.vision, "CUT_PATCHES", 4096)
    assert measured_peak([BIG], WIDE) > stated


def test_the_largest_picture_of_the_real_model_needs_a_few_gigabytes() -> None:
    largest: list[Grid] = [(1, 256, 256)]  # 4096x4096 pixels; a full score matrix has 275 GB
    assert vision_peak_bytes(VISION_30B, largest, value_bytes=2, is_fused=True) < 2.4 * 10**9
    assert vision_peak_bytes(VISION_30B, largest, value_bytes=4, is_fused=False) < 6 * 10**9


def test_a_picture_of_2048x2048_stays_under_one_and_a_half_gigabytes() -> None:
    picture: list[Grid] = [(1, 128, 128)]
    assert vision_peak_bytes(VISION_30B, picture, value_bytes=2, is_fused=True) < 0.7 * 10**9
    assert vision_peak_bytes(VISION_30B, picture, value_bytes=4, is_fused=False) < 1.5 * 10**9


def test_where_kernels_are_fused_no_score_is_counted_whatever_machine_asks() -> None:
    grids: list[Grid] = [(1, 64, 64)]
    fused = vision_peak_bytes(VISION_30B, grids, value_bytes=2, is_fused=True)
    assert fused < vision_peak_bytes(VISION_30B, grids, value_bytes=2, is_fused=False) - 100 * MIB


def test_many_pictures_in_one_call_need_more_than_one() -> None:
    one = vision_peak_bytes(VISION_30B, [(1, 32, 32)], value_bytes=2)
    assert one < vision_peak_bytes(VISION_30B, [(1, 32, 32)] * 8, value_bytes=2) < 8 * one
