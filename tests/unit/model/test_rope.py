"""Rotary positions: which form is chosen, and that both forms are the same rotation."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from edge.config import RopeConfig
from edge.model.rope import (
    RopeOffset,
    RopeTable,
    apply_rope,
    attention_scale,
    frequency_axes,
    make_rope,
    make_rope_table,
    rope_frequencies,
)

PLAIN = RopeConfig(theta=60.0, mrope_section=(6, 3, 3))
YARN = RopeConfig(
    theta=60.0, mrope_section=(6, 3, 3), rope_type="yarn", factor=3.0, original_max_position_embeddings=64
)


def consecutive(starts: list[int], length: int) -> np.ndarray:
    rows = np.array(starts)[:, None] + np.arange(length)
    return np.broadcast_to(rows, (3, *rows.shape))


def heads(batch: int, length: int) -> mx.array:
    return mx.random.normal((batch, 2, length, 24), key=mx.random.key(0))


@pytest.mark.parametrize("config", [PLAIN, YARN], ids=["plain", "yarn"])
@pytest.mark.parametrize("starts", [[0], [900], [4, 4], [-3, 17, 250]])
@pytest.mark.parametrize("length", [1, 6])
def test_offset_and_table_are_the_same_rotation(config: RopeConfig, starts: list[int], length: int) -> None:
    positions = consecutive(starts, length)
    rope = make_rope(positions, config=config, head_dim=24)
    assert isinstance(rope, RopeOffset)
    table = make_rope_table(positions, config=config, head_dim=24)
    x = heads(len(starts), length)
    # float32 angles up to 900 have a spacing of 6e-5
    np.testing.assert_allclose(np.array(apply_rope(rope, x)), np.array(apply_rope(table, x)), atol=3e-4)


def test_equal_offsets_need_no_array() -> None:
    rope = make_rope(consecutive([5, 5], 3), config=PLAIN, head_dim=24)
    assert isinstance(rope, RopeOffset)
    assert rope.offset == 5


@pytest.mark.parametrize(
    "positions",
    [
        np.array([[[0, 1, 2]], [[0, 1, 2]], [[0, 1, 3]]]),
        np.array([[[0, 1, 2]], [[0, 1, 2]], [[1, 2, 3]]]),
        np.array([[[0, 1, 3]]] * 3),
        np.array([[[0, 1, 2], [4, 5, 5]]] * 3),
    ],
    ids=["one row differs", "a row is shifted", "a gap", "one batch row repeats"],
)
def test_other_positions_take_the_table(positions: np.ndarray) -> None:
    assert isinstance(make_rope(positions, config=PLAIN, head_dim=24), RopeTable)


def test_a_table_rotates_each_frequency_by_its_own_axis() -> None:
    positions = np.array([[[7]], [[11]], [[13]]])
    table = make_rope_table(positions, config=PLAIN, head_dim=24)
    axes = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 0, 0])
    angles = np.array([7, 11, 13])[axes] * 60.0 ** (-np.arange(12) / 12)
    np.testing.assert_allclose(np.array(table.cos)[0, 0, 0], np.cos(angles), atol=2e-6)
    np.testing.assert_allclose(np.array(table.sin)[0, 0, 0], np.sin(angles), atol=2e-6)
    assert table.cos.dtype == mx.float32


def test_sections_of_the_real_model_interleave() -> None:
    assert "".join("THW"[axis] for axis in frequency_axes((24, 20, 20), 64)) == "THW" * 20 + "TTTT"


def test_yarn_keeps_fast_frequencies_and_stretches_slow_ones() -> None:
    plain, yarn = rope_frequencies(PLAIN, 24), rope_frequencies(YARN, 24)
    assert yarn[0] == plain[0]
    assert yarn[-1] == pytest.approx(plain[-1] / 3)
    assert attention_scale(PLAIN, 24) == pytest.approx(24**-0.5)
    assert attention_scale(YARN, 24) == pytest.approx(24**-0.5 * (0.1 * np.log(3) + 1) ** 2)
