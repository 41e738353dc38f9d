"""Attention of the vision tower: within one frame, without a score matrix in memory or with a bounded one.

A frame of a 4096x4096 picture has 65,536 patches; a full score matrix takes 16 heads * 65,536^2 * 4 bytes = 275 GB.
On Metal MLX has fused kernels, which never write scores: one call takes all frames of a picture or video, and is
asked to be fused or to fail. Elsewhere the query rows of a call are so few that its scores stay within `score_bytes`.
"""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx
import mlx.nn as nn

from edge.config import VisionConfig
from edge.model.elementwise import rotate_halves
from edge.model.linear import Linear
from edge.model.types import Grid
from edge.products import attend, is_attention_numpys

FUSED_HEAD_DIMS = (64, 72, 80, 96, 128)
"""Head sizes of MLX 0.32.4's fused attention kernels for many queries, on Metal; others are widened with zeros."""

GPU_SCORE_BYTES = 1 << 30
CPU_SCORE_BYTES = 1 << 26


class VisionAttention(nn.Module):
    """Self attention of one vision block, full within each frame."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        self.qkv = Linear(config.hidden_size, 3 * config.hidden_size)
        self.proj = Linear(config.hidden_size, config.hidden_size)

    def __call__(self, hidden: mx.array, *, cos: mx.array, sin: mx.array, grids: Sequence[Grid]) -> mx.array:
        """Attend within the frames.

        Args:
            hidden: All patches of all media, (N, D), normalised.
            cos: Cosine of the rotary angles, (N, 1, Dh / 2) float32.
            sin: Sine of the rotary angles, the same shape.
            grids: One grid per media, in the order of the rows.

        Returns:
            (N, D).
        """
        head_dim = self.config.head_dim
        padding = attended_head_dim(head_dim) - head_dim
        heads = mx.unflatten(self.qkv(hidden), -1, (3, self.config.num_heads, head_dim))  # (N, 3, H, Dh)
        queries = _rotate_and_pad(heads[:, 0], cos, sin, padding)
        keys = _rotate_and_pad(heads[:, 1], cos, sin, padding)
        values = mx.pad(heads[:, 2], [(0, 0), (0, 0), (0, padding)]) if padding else heads[:, 2]
        mixed, start = [], 0
        for frames, height, width in grids:
            stop = start + frames * height * width
            q, k, v = (
                mx.unflatten(part[start:stop], 0, (frames, height * width)).transpose(0, 2, 1, 3)  # (T, H, P, Dh)
                for part in (queries, keys, values)
            )
            mixed.append(_attend(q, k, v, scale=head_dim**-0.5))
            start = stop
        return self.proj(mx.concatenate(mixed)[..., :head_dim].flatten(1))


def _attend(queries: mx.array, keys: mx.array, values: mx.array, *, scale: float) -> mx.array:
    """Attend within frames, (T, H, P, Dh) each; returns flat rows (T * P, H, Dh)."""
    if not has_fused_kernels():
        return attend_in_blocks(queries, keys, values, scale=scale, score_bytes=score_bytes())
    # force_fused: that there is no score matrix is what the memory plan counts on.
    mixed = mx.fast.scaled_dot_product_attention(queries, keys, values, scale=scale, force_fused=True)
    return mixed.transpose(0, 2, 1, 3).flatten(0, 1)


def attend_in_blocks(
    queries: mx.array, keys: mx.array, values: mx.array, *, scale: float, score_bytes: int
) -> mx.array:
    """Attend within frames with at most `score_bytes` of float32 scores per call (at least one query row).

    Numpy's attention bounds them itself, and is given everything at once.

    Args:
        queries: (T, H, P, Dh).
        keys: (T, H, P, Dh).
        values: (T, H, P, Dh).
        scale: Factor of the scores.
        score_bytes: Bound of one call's score matrix.

    Returns:
        Mixed values with flat rows, (T * P, H, Dh).
    """
    num_frames, num_heads, num_patches, _ = queries.shape
    row_bytes = 4 * num_heads * num_patches
    frames_per_call = max(1, score_bytes // (row_bytes * num_patches))
    rows_per_call = max(1, min(num_patches, score_bytes // row_bytes))
    is_numpys = is_attention_numpys(queries, keys)
    if is_numpys:
        frames_per_call, rows_per_call = num_frames, num_patches
    if is_numpys or frames_per_call < num_frames or rows_per_call < num_patches:
        keys, values = mx.contiguous(keys), mx.contiguous(values)  # else the CPU copies them in every call
    blocks: list[mx.array] = []
    for frame in range(0, num_frames, frames_per_call):
        stop = frame + frames_per_call
        for row in range(0, num_patches, rows_per_call):
            block = queries[frame:stop, :, row : row + rows_per_call]
            if blocks:
                # One after the other: MLX would run the score products of many blocks before their softmax.
                block = mx.depends(block, blocks[-1])
            mixed = attend(block, keys[frame:stop], values[frame:stop], scale=scale)
            blocks.append(mixed.transpose(0, 2, 1, 3).flatten(0, 1))  # (T * P, H, Dh)
    return blocks[0] if len(blocks) == 1 else mx.concatenate(blocks)


def has_fused_kernels() -> bool:
    """Tell whether full attention runs without a score matrix here."""
    return mx.metal.is_available() and mx.default_device().type == mx.DeviceType.gpu


def attended_head_dim(head_dim: int, *, is_fused: bool | None = None) -> int:
    """Return the width at which a head is attended: its own, or the next fused size where kernels are fused.

    Args:
        head_dim: Width of a head.
        is_fused: Whether they are; None asks this machine.
    """
    if not (has_fused_kernels() if is_fused is None else is_fused):
        return head_dim
    return next((size for size in FUSED_HEAD_DIMS if size >= head_dim), head_dim)


def score_bytes() -> int:
    """Return the bound of one call's scores on the default device."""
    return GPU_SCORE_BYTES if mx.default_device().type == mx.DeviceType.gpu else CPU_SCORE_BYTES


def _rotate_and_pad(heads: mx.array, cos: mx.array, sin: mx.array, padding: int) -> mx.array:
    first, second = mx.split(heads, 2, axis=-1)
    rotated = [*rotate_halves(first, second, cos, sin)]
    if padding:
        rotated.append(mx.zeros((*heads.shape[:-1], padding), dtype=heads.dtype))
    return mx.concatenate(rotated, axis=-1)
