"""Rotary positions of the decoder: interleaved MRoPE and plain rope.

In: integer positions (3, B, L) on the host, a function of the prompt. Out: a `Rope`, built once per forward and
passed to all layers. Where the three rows are equal and go up by one (all text, every decode step) interleaved
MRoPE is plain rope, and `RopeOffset` does it in one fused launch; only forwards with visual tokens get a table.
Source: transformers 5.23 modeling_qwen3_vl_moe.py and modeling_rope_utils.py, differs in: YaRN's attention factor
goes into the attention scale, cos and sin stay float32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from edge.config import RopeConfig
from edge.model.elementwise import rotate_halves


@dataclass(frozen=True, slots=True)
class RopeTable:
    """Float32 cos and sin for every token, (B, 1, L, Dh / 2); both halves of a head use the same angles."""

    cos: mx.array
    sin: mx.array


@dataclass(frozen=True, slots=True)
class RopeOffset:
    """Consecutive equal positions: the first one (an int, or (B,) int32), and 1 / frequency, (Dh / 2,) float32."""

    offset: int | mx.array
    periods: mx.array


Rope = RopeTable | RopeOffset


def make_rope(positions: NDArray[np.integer], *, config: RopeConfig, head_dim: int) -> Rope:
    """Choose and build the rotary form of one forward.

    Args:
        positions: Rows time, height, width, (3, B, L) integers. Padded tokens may have any value, also below zero.
        config: Base, sections and YaRN numbers.
        head_dim: Width of one head, even.

    Returns:
        `RopeOffset` if in each batch row the three rows are equal and go up by one, else `RopeTable`.
    """
    assert len(positions.shape) == len(positions) == 3, f"positions should be (3, B, L), found {positions.shape}"
    if not is_plain(positions):
        return make_rope_table(positions, config=config, head_dim=head_dim)
    first = positions[0, :, 0].astype(np.int32)
    periods = mx.array(1.0 / rope_frequencies(config, head_dim))
    offset = int(first[0]) if (first == first[0]).all() else mx.array(first)
    return RopeOffset(offset=offset, periods=periods)


def is_plain(positions: NDArray[np.integer]) -> bool:
    """Tell whether the three rows are equal and each step is one."""
    time = positions[0]
    is_equal = (positions[1] == time).all() and (positions[2] == time).all()
    return bool(is_equal and (np.diff(time, axis=-1) == 1).all())


def make_rope_table(positions: NDArray[np.integer], *, config: RopeConfig, head_dim: int) -> RopeTable:
    """Build cos and sin of interleaved MRoPE.

    Args:
        positions: (3, B, L) integers.
        config: Base, sections and YaRN numbers.
        head_dim: Width of one head, even.

    Returns:
        The table, float32 (the reference computes rotary angles in fp32).
    """
    axes = frequency_axes(config.mrope_section, head_dim // 2)
    chosen = positions[axes].transpose(1, 2, 0).astype(np.float32)  # (B, L, Dh / 2)
    angles = chosen * rope_frequencies(config, head_dim)
    return RopeTable(cos=mx.array(np.cos(angles)[:, None]), sin=mx.array(np.sin(angles)[:, None]))


def apply_rope(rope: Rope, heads: mx.array) -> mx.array:
    """Rotate queries or keys.

    Args:
        rope: Result of `make_rope`.
        heads: (B, H, L, Dh).

    Returns:
        The rotated heads in the same shape and type.
    """
    if isinstance(rope, RopeOffset):
        width = heads.shape[-1]
        return mx.fast.rope(
            heads, width, traditional=False, base=None, scale=1.0, offset=rope.offset, freqs=rope.periods
        )
    first, second = mx.split(heads, 2, axis=-1)
    return mx.concatenate([*rotate_halves(first, second, rope.cos, rope.sin)], axis=-1)


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
    exponents = np.arange(0, head_dim, 2, dtype=np.float32) / np.float32(head_dim)
    plain: NDArray[np.float32] = (1.0 / np.float32(config.theta) ** exponents).astype(np.float32)
    if config.rope_type == "default":
        return plain
    low, high = _yarn_range(config, head_dim)
    ramp = np.clip((np.arange(head_dim // 2, dtype=np.float32) - low) / (high - low), 0.0, 1.0)
    stretched: NDArray[np.float32] = (plain / config.factor * ramp + plain * (1.0 - ramp)).astype(np.float32)
    return stretched


def _yarn_range(config: RopeConfig, head_dim: int) -> tuple[float, float]:
    def frequency_index(rotations: float) -> float:
        turns = config.original_max_position_embeddings / (rotations * 2 * math.pi)
        return head_dim * math.log(turns) / (2 * math.log(config.theta))

    low = max(math.floor(frequency_index(config.beta_fast)), 0)
    high = min(math.ceil(frequency_index(config.beta_slow)), head_dim - 1)
    return low, high if high != low else high + 0.001


def _yarn_attention_factor(config: RopeConfig) -> float:
    if config.rope_type == "default":
        return 1.0
    if config.attention_factor is not None:
        return config.attention_factor
    return 1.0 if config.factor <= 1 else 0.1 * math.log(config.factor) + 1.0
