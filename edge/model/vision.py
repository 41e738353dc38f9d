"""The vision tower: patches of pictures and videos in, features of visual tokens and DeepStack levels out.

Source: transformers 5.23 modeling_qwen3_vl_moe.py, differs in: the patch convolution is one product with flat
rows, positions come from the host per frame, attention runs in bounded blocks.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

import mlx.core as mx
import mlx.nn as nn

from edge.config import VisionConfig
from edge.model.elementwise import gelu_erf, gelu_tanh
from edge.model.rope import cos_and_sin
from edge.model.types import Grid, VisionOutput
from edge.model.vision_attention import (
    CPU_SCORES_ALIVE,
    VisionAttention,
    attended_head_dim,
    peak_score_bytes,
    score_block_bytes,
)
from edge.model.vision_positions import position_taps, rotary_angles

LAYER_NORM_EPS = 1e-6
"""In the reference's code, not in config.json."""


class PatchProjection(nn.Module):
    """The weights of a convolution whose stride is its size, kept as MLX stores them, (D, T, H, W, C)."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        size = config.patch_size
        self.weight = mx.zeros((config.hidden_size, config.temporal_patch_size, size, size, config.in_channels))
        self.bias = mx.zeros((config.hidden_size,))

    def __call__(self, patches: mx.array) -> mx.array:
        """Map flat patches (N, patch_values), values in (C, T, H, W) order, to (N, D)."""
        # (D, T, H, W, C) -> (D, C, T, H, W) -> (D, patch_values); 3.5 MB once per call
        flat = self.weight.transpose(0, 4, 1, 2, 3).flatten(1)
        return mx.addmm(self.bias, patches.astype(flat.dtype), flat.T)


class PatchEmbedding(nn.Module):
    """Holder of `proj`, as in published files."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.proj = PatchProjection(config)

    def __call__(self, patches: mx.array) -> mx.array:
        """Map (N, patch_values) to (N, D)."""
        return self.proj(patches)


class VisionMLP(nn.Module):
    """Feed-forward part of a block."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.linear_fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.linear_fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def __call__(self, hidden: mx.array) -> mx.array:
        """Map (N, D) to (N, D)."""
        return self.linear_fc2(gelu_tanh(self.linear_fc1(hidden)))


class VisionBlock(nn.Module):
    """Attention within frames and feed-forward part, each with a norm before and a residual around it."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.hidden_size, eps=LAYER_NORM_EPS)
        self.norm2 = nn.LayerNorm(config.hidden_size, eps=LAYER_NORM_EPS)
        self.attn = VisionAttention(config)
        self.mlp = VisionMLP(config)

    def __call__(self, hidden: mx.array, *, cos: mx.array, sin: mx.array, grids: Sequence[Grid]) -> mx.array:
        """Map (N, D) to (N, D)."""
        hidden = hidden + self.attn(self.norm1(hidden), cos=cos, sin=sin, grids=grids)
        return hidden + self.mlp(self.norm2(hidden))


class PatchMerger(nn.Module):
    """Turn blocks of patches into visual tokens; DeepStack mergers normalise after joining the block."""

    def __init__(self, config: VisionConfig, *, norm_after_join: bool) -> None:
        super().__init__()
        joined = config.hidden_size * config.merge_area
        self.norm_after_join = norm_after_join
        self.merge_area = config.merge_area
        self.norm = nn.LayerNorm(joined if norm_after_join else config.hidden_size, eps=LAYER_NORM_EPS)
        self.linear_fc1 = nn.Linear(joined, joined)
        self.linear_fc2 = nn.Linear(joined, config.out_hidden_size)

    def __call__(self, hidden: mx.array) -> mx.array:
        """Map patches (N, D) to visual tokens (N / merge_area, out)."""
        joined_shape = (-1, hidden.shape[-1] * self.merge_area)
        if self.norm_after_join:
            joined = self.norm(hidden.reshape(joined_shape))
        else:
            joined = self.norm(hidden).reshape(joined_shape)
        return self.linear_fc2(gelu_erf(self.linear_fc1(joined)))


class VisionTower(nn.Module):
    """Patch embedding, blocks, merger and DeepStack mergers."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embed = PatchEmbedding(config)
        self.pos_embed = nn.Embedding(config.num_position_embeddings, config.hidden_size)
        self.blocks = [VisionBlock(config) for _ in range(config.depth)]
        self.merger = PatchMerger(config, norm_after_join=False)
        self.deepstack_merger_list = [PatchMerger(config, norm_after_join=True) for _ in config.deepstack_indexes]

    def __call__(self, patches: mx.array, grids: Sequence[Grid]) -> VisionOutput:
        """Encode pictures and videos.

        Args:
            patches: Flat patches of all media, one after the other, (N, patch_values), any float type.
            grids: One (frames, rows, columns) in patches per media.

        Returns:
            Features and DeepStack levels, (M, out) each, M = N / merge_area.
        """
        steps = self.steps(patches, grids)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                output: VisionOutput = end.value
                return output

    def steps(self, patches: mx.array, grids: Sequence[Grid]) -> Generator[mx.array, None, VisionOutput]:
        """Encode pictures and videos block by block, so that a caller may evaluate, count or leave in between.

        Args:
            patches: As for a call.
            grids: As for a call.

        Yields:
            The hidden state after each block, (N, D), not evaluated.

        Returns:
            What a call returns.
        """
        num_patches = sum(frames * height * width for frames, height, width in grids)
        assert patches.shape == (num_patches, self.config.patch_values), (
            f"patches should be {(num_patches, self.config.patch_values)} for {list(grids)}, found {patches.shape}"
        )
        hidden = self.patch_embed(patches)
        hidden = hidden + self.position_embeddings(grids).astype(hidden.dtype)
        cos, sin = cos_and_sin(rotary_angles(grids, self.config)[:, None])  # (N, 1, Dh / 2)
        levels = []
        for index, block in enumerate(self.blocks):
            hidden = block(hidden, cos=cos, sin=sin, grids=grids)
            if index in self.config.deepstack_indexes:
                levels.append(self.deepstack_merger_list[self.config.deepstack_indexes.index(index)](hidden))
            yield hidden
        return VisionOutput(features=self.merger(hidden), deepstack=tuple(levels))

    def position_embeddings(self, grids: Sequence[Grid]) -> mx.array:
        """Interpolate the position table for every patch, (N, D) float32; the same for every frame."""
        parts = []
        for frames, height, width in grids:
            indexes, weights = position_taps(
                height, width, side=self.config.position_side, merge_size=self.config.spatial_merge_size
            )
            one_frame = mx.zeros((height * width, self.config.hidden_size))  # fp32, as the reference adds
            for tap, weight in zip(indexes, weights, strict=True):
                one_frame = one_frame + self.pos_embed.weight[mx.array(tap)] * mx.array(weight)[:, None]
            parts.append(mx.tile(one_frame, (frames, 1)))
        return mx.concatenate(parts)


def vision_peak_bytes(
    config: VisionConfig, grids: Sequence[Grid], *, value_bytes: int, is_fused: bool | None = None
) -> int:
    """Bound the memory that one call of the tower takes beside its weights.

    Args:
        config: Sizes of the tower.
        grids: One grid per media of the call.
        value_bytes: Bytes of one activation: 2 for bfloat16, 4 for float32.
        is_fused: Whether attention is, so that there is no score matrix, as on Metal; None asks this machine.

    Returns:
        Bytes at the worst point: patches and angles (float32), the patch projection's flat weights, the residual stream
        and DeepStack results, and the larger of the attention part (q, k, v as projected, padded, mixed, and scores)
        and the feed-forward part; beside this the CPU still holds the attention part and a block of scores.
    """
    num_patches = sum(frames * height * width for frames, height, width in grids)
    scores = peak_score_bytes(config, grids, is_fused=is_fused)
    padded = config.num_heads * attended_head_dim(config.head_dim, is_fused=is_fused)
    steady = value_bytes * config.patch_values * config.hidden_size + num_patches * (
        4 * config.patch_values
        + 4 * config.head_dim
        + value_bytes * 3 * config.hidden_size
        + value_bytes * config.out_hidden_size * (1 + len(config.deepstack_indexes)) // config.merge_area
    )
    attention = num_patches * value_bytes * (3 * config.hidden_size + 5 * padded)
    feed_forward = num_patches * value_bytes * 3 * max(config.intermediate_size, config.hidden_size)
    if scores:
        feed_forward += attention + int(CPU_SCORES_ALIVE * score_block_bytes(config, grids))
    return steady + max(attention + scores, feed_forward)
