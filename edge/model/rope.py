"""Rotary positions of the decoder: interleaved MRoPE.

In: integer positions (3, B, L) on the host, a function of the prompt. Out: a `Rope`, built once per forward and
passed to all layers. Angles are made on the host, products of float32 numbers as in the reference: their rounding at
position 250,000 is 0.015, so it has to be the same, and the fast sine that MLX's fused rope uses on Metal is specified
from -pi to pi only. The weights of the head norms are multiplied in the same kernel that rotates.
Source: transformers 5.23 modeling_qwen3_vl_moe.py and modeling_rope_utils.py, differs in: YaRN's attention factor
goes into the attention scale, cos and sin stay float32.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from edge.config import RopeConfig
from edge.model.elementwise import turn
from edge.model.frequencies import inverse_frequencies
from edge.records import dataclass


@dataclass(frozen=True, slots=True)
class Rope:
    """What a new head is made of, float32: factors of the first and the second half, (B, 1, L, 2, Dh / 2) each.

    Both halves of a head use the same angles: the new first half is first * cos - second * sin, the new second half
    first * sin + second * cos.
    """

    of_first: mx.array
    of_second: mx.array


def make_rope(positions: NDArray[np.integer], *, config: RopeConfig, head_dim: int) -> Rope:
    """Build the rotary factors of one forward.

    Args:
        positions: Rows time, height, width, (3, B, L) integers.
        config: Base, sections and YaRN numbers.
        head_dim: Width of one head, even.
    """
    assert len(positions.shape) == len(positions) == 3, f"positions should be (3, B, L), found {positions.shape}"
    angles = rope_angles(positions, config=config, head_dim=head_dim).astype(np.float64)
    factors = np.empty((2, angles.shape[0], 1, angles.shape[1], 2, angles.shape[2]), dtype=np.float32)
    factors[0, :, 0, :, 0] = factors[1, :, 0, :, 1] = np.cos(angles)
    factors[0, :, 0, :, 1] = np.sin(angles)
    factors[1, :, 0, :, 0] = -factors[0, :, 0, :, 1]
    return Rope(mx.array(factors[0]), mx.array(factors[1]))


def rope_angles(positions: NDArray[np.integer], *, config: RopeConfig, head_dim: int) -> NDArray[np.float32]:
    """Return the angles of interleaved MRoPE, (B, L, Dh / 2), for positions (3, B, L); float32 as in the reference."""
    axes = frequency_axes(config.mrope_section, head_dim // 2)
    chosen = positions[axes].transpose(1, 2, 0).astype(np.float32)
    return chosen * rope_frequencies(config, head_dim)


def cos_and_sin(angles: NDArray[np.float32]) -> tuple[mx.array, mx.array]:
    """Return float32 cos and sin, computed in float64: numpy's float32 functions are 4e-7 off at large angles."""
    wide = angles.astype(np.float64)
    return mx.array(np.cos(wide).astype(np.float32)), mx.array(np.sin(wide).astype(np.float32))


def weight_halves(weight: mx.array) -> list[mx.array]:
    """Cut the weights of head norms, (H, Dh), as `turn_heads` takes them: (H, 1, 1, Dh / 2) each."""
    return [half[:, None, None] for half in mx.split(weight, 2, axis=-1)]


def turn_heads(
    rope: Rope, normed: mx.array, *, weights: Sequence[mx.array], raw: mx.array, num_turned: int
) -> mx.array:
    """Multiply normalised heads by their weights and rotate them; take the heads behind these as they were.

    Args:
        rope: Result of `make_rope`.
        normed: Heads without their weights, (B, H, L, Dh).
        weights: Of the norm, for the first and the second half of a head, (H, 1, 1, Dh / 2) each.
        raw: The heads before the norm.
        num_turned: Heads to rotate, the first ones.

    Returns:
        (B, H, L, Dh), rows and heads one after the other in memory.
    """
    first, second = mx.split(mx.unflatten(normed, -1, (2, -1)), 2, axis=-2)  # (B, H, L, 1, Dh / 2)
    raw = mx.unflatten(raw, -1, (2, -1))
    is_raw = _is_raw(num_turned, normed.shape[1])
    turned = turn(first, second, weights[0], weights[1], rope.of_first, rope.of_second, raw, is_raw)
    return turned.flatten(-2)


@lru_cache(maxsize=8)
def _is_raw(num_turned: int, num_heads: int) -> mx.array:
    return mx.array(np.arange(num_heads)[:, None, None, None] >= num_turned)


@lru_cache(maxsize=8)
def frequency_axes(mrope_section: tuple[int, int, int], num_frequencies: int) -> NDArray[np.int64]:
    """Return which position row (0 time, 1 height, 2 width) each frequency uses: T H W T H W ... then T."""
    axes = np.zeros(num_frequencies, dtype=np.int64)
    for axis in (1, 2):
        axes[axis : mrope_section[axis] * 3 : 3] = axis
    return axes


def attention_scale(config: RopeConfig, head_dim: int) -> float:
    """Return the factor of the attention scores, with YaRN's factor for queries and keys in it.

    The reference multiplies cos and sin by YaRN's factor, so a score gets it twice; here it costs no launch.
    """
    return float(head_dim**-0.5) * _yarn_attention_factor(config) ** 2


@lru_cache(maxsize=8)
def rope_frequencies(config: RopeConfig, head_dim: int) -> NDArray[np.float32]:
    """Return the inverse frequencies, (Dh / 2,) float32, rounded as the reference rounds them."""
    plain = inverse_frequencies(config.theta, head_dim)
    if config.rope_type == "default":
        return plain
    low, high = _yarn_range(config, head_dim)
    ramp = np.clip((np.arange(head_dim // 2, dtype=np.float32) - np.float32(low)) / np.float32(high - low), 0, 1)
    kept = 1 - ramp
    stretched = inverse_frequencies(config.theta, head_dim, factor=config.factor)
    mixed: NDArray[np.float32] = stretched * (1 - kept) + plain * kept
    return mixed


def _yarn_range(config: RopeConfig, head_dim: int) -> tuple[float, float]:
    def frequency_index(rotations: float) -> float:
        turns = config.original_max_position_embeddings / (rotations * 2 * math.pi)
        return head_dim * math.log(turns) / (2 * math.log(config.theta))

    low, high = frequency_index(config.beta_fast), frequency_index(config.beta_slow)
    if config.truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, head_dim - 1)
    return low, high if high != low else high + 0.001


def _yarn_attention_factor(config: RopeConfig) -> float:
    if config.rope_type == "default":
        return 1.0
    if config.attention_factor is not None:
        return config.attention_factor
    return 1.0 if config.factor <= 1 else 0.1 * math.log(config.factor) + 1.0
