"""Rotary positions: the factors, and what they make of heads."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from edge.config import RopeConfig
from edge.model.rope import attention_scale, frequency_axes, make_rope, rope_frequencies, turn_heads, weight_halves

PLAIN = RopeConfig(theta=60.0, mrope_section=(6, 3, 3))
YARN = RopeConfig(
    theta=60.0, mrope_section=(6, 3, 3), rope_type="yarn", factor=3.0, original_max_position_embeddings=64
)


def turned(positions: np.ndarray, heads: mx.array, *, weight: mx.array | None = None, num_turned: int = 2) -> mx.array:
    """Rotate two heads."""
    rope = make_rope(positions, config=PLAIN, head_dim=24)
    weight = mx.ones((heads.shape[1], 24)) if weight is None else weight
    return turn_heads(rope, heads, weights=weight_halves(weight), raw=10 * heads, num_turned=num_turned)


def heads(batch: int, length: int) -> mx.array:
    return mx.random.normal((batch, 2, length, 24), key=mx.random.key(0))


@pytest.mark.parametrize("position", [4, 900, 250_000])
def test_a_head_is_rotated_as_pairs_of_its_halves(position: int) -> None:
    x = heads(1, 1)
    angles = np.float32(position) * rope_frequencies(PLAIN, 24)
    pairs = np.array(x[..., :12]) + 1j * np.array(x[..., 12:])
    expected = pairs * np.exp(1j * angles.astype(np.float64))
    found = np.array(turned(np.full((3, 1, 1), position), x))
    np.testing.assert_allclose(found, np.concatenate([expected.real, expected.imag], axis=-1), atol=1e-6)


def test_rows_and_tokens_have_their_own_positions() -> None:
    positions = np.arange(18).reshape(3, 2, 3) * 7
    x = heads(2, 3)
    whole = np.array(turned(positions, x))
    for row in range(2):
        for token in range(3):
            one = turned(positions[:, row : row + 1, token : token + 1], x[row : row + 1, :, token : token + 1])
            assert np.array_equal(whole[row, :, token], np.array(one)[0, :, 0])


def test_weights_of_the_norm_come_first_and_other_heads_stay_as_they_were() -> None:
    x, weight = heads(1, 3), mx.random.normal((2, 24), key=mx.random.key(1))
    positions = np.arange(9).reshape(3, 1, 3)
    found = np.array(turned(positions, x, weight=weight, num_turned=1))
    expected = np.array(turned(positions, x * weight[:, None]))
    np.testing.assert_allclose(found[:, 0], expected[:, 0], atol=1e-6)
    assert np.array_equal(found[:, 1], np.array(10 * x)[:, 1])


def test_factors_rotate_each_frequency_by_its_own_axis() -> None:
    rope = make_rope(np.array([[[7]], [[11]], [[13]]]), config=PLAIN, head_dim=24)
    axes = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 0, 0])
    angles = np.array([7, 11, 13])[axes] * 60.0 ** (-np.arange(12) / 12)
    cos, sin = np.cos(angles), np.sin(angles)
    assert rope.of_first.shape == rope.of_second.shape == (1, 1, 1, 2, 12)
    np.testing.assert_allclose(np.array(rope.of_first)[0, 0, 0], [cos, sin], atol=2e-6)
    np.testing.assert_allclose(np.array(rope.of_second)[0, 0, 0], [-sin, cos], atol=2e-6)
    assert rope.of_first.dtype == rope.of_second.dtype == mx.float32


def test_sections_of_the_real_model_interleave() -> None:
    assert "".join("THW"[axis] for axis in frequency_axes((24, 20, 20), 64)) == "THW" * 20 + "TTTT"


def test_yarn_keeps_fast_frequencies_and_stretches_slow_ones() -> None:
    plain, yarn = rope_frequencies(PLAIN, 24), rope_frequencies(YARN, 24)
    assert yarn[0] == plain[0]
    assert yarn[-1] == pytest.approx(plain[-1] / 3)
    assert attention_scale(PLAIN, 24) == pytest.approx(24**-0.5)
    assert attention_scale(YARN, 24) == pytest.approx(24**-0.5 * (0.1 * np.log(3) + 1) ** 2)
