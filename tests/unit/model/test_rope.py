"""Rotary positions: which form is chosen, and that both forms are the same rotation."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from edge.config import RopeConfig
from edge.model.rope import (
    RopeStep,
    RopeTable,
    apply_rope,
    attention_scale,
    frequency_axes,
    make_rope,
    rope_frequencies,
)

PLAIN = RopeConfig(theta=60.0, mrope_section=(6, 3, 3))
YARN = RopeConfig(
    theta=60.0, mrope_section=(6, 3, 3), rope_type="yarn", factor=3.0, original_max_position_embeddings=64
)


def heads(batch: int, length: int) -> mx.array:
    return mx.random.normal((batch, 2, length, 24), key=mx.random.key(0))


@pytest.mark.parametrize("config", [PLAIN, YARN], ids=["plain", "yarn"])
@pytest.mark.parametrize("position", [(0, 0, 0), (4, 4, 4), (900, 900, 900), (7, 11, 13), (250_000, 250_000, 250_000)])
def test_a_step_and_a_table_are_the_same_rotation(config: RopeConfig, position: tuple[int, int, int]) -> None:
    positions = np.array(position)[:, None, None]
    step = make_rope(positions, config=config, head_dim=24)
    table = make_rope(np.repeat(positions, 2, axis=2), config=config, head_dim=24)
    assert isinstance(step, RopeStep)
    assert isinstance(table, RopeTable)
    x = heads(1, 1)
    both = np.array(apply_rope(table, mx.repeat(x, 2, axis=2)))
    assert np.array_equal(both[:, :, :1], both[:, :, 1:])
    np.testing.assert_allclose(np.array(apply_rope(step, x)), both[:, :, :1], atol=2e-6)


def test_a_step_turns_its_angles_into_the_range_that_a_gpu_is_exact_in() -> None:
    rope = make_rope(np.full((3, 1, 1), 250_000), config=PLAIN, head_dim=24)
    assert isinstance(rope, RopeStep)
    assert np.abs(1 / np.array(rope.periods)).max() <= np.pi + 1e-6


@pytest.mark.parametrize("shape", [(3, 1, 2), (3, 2, 1)])
def test_more_than_one_token_takes_a_table(shape: tuple[int, int, int]) -> None:
    rope = make_rope(np.full(shape, 5), config=PLAIN, head_dim=24)
    assert isinstance(rope, RopeTable)
    assert rope.cos.shape == (shape[1], 1, shape[2], 12)


def test_a_table_rotates_each_frequency_by_its_own_axis() -> None:
    positions = np.array([[[7]], [[11]], [[13]]])
    table = make_rope(np.repeat(positions, 2, axis=2), config=PLAIN, head_dim=24)
    assert isinstance(table, RopeTable)
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
