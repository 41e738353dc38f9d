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
from edge.model.linear import Linear
from edge.model.rope import cos_and_sin
from edge.model.types import Grid, VisionOutput
from edge.model.vision_attention import VisionAttention
from edge.model.vision_positions import position_taps, rotary_angles
from edge.products import multiply

LAYER_NORM_EPS = 1e-6
"""In the reference's code, not in config.json."""
CUT_PATCHES = 4096
"""Patches that go through a feed-forward part at a time, whose middle is four times as wide: those of 1024x1024."""


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
        return multiply(patches.astype(flat.dtype), flat, self.bias)


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
        self.linear_fc1 = Linear(config.hidden_size, config.intermediate_size)
        self.linear_fc2 = Linear(config.intermediate_size, config.hidden_size)

    def __call__(self, hidden: mx.array) -> mx.array:
        """Map (N, D) to (N, D), at most `CUT_PATCHES` rows at a time."""
        cuts: list[mx.array] = []
        for start in range(0, len(hidden), CUT_PATCHES):
            rows = hidden[start : start + CUT_PATCHES]
            if cuts:
                rows = mx.depends(rows, cuts[-1])  # one after the other: else MLX widens them all first
            cuts.append(self.linear_fc2(gelu_tanh(self.linear_fc1(rows))))
        return mx.concatenate(cuts)


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
        self.linear_fc1 = Linear(joined, joined)
        self.linear_fc2 = Linear(joined, config.out_hidden_size)

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
        del patches  # not held while the blocks run
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
