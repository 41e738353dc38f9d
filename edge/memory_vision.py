"""Bound the memory that the vision tower takes while it looks at pictures and videos, beside its weights."""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx

from edge.config import VisionConfig
from edge.model.types import Grid
from edge.model.vision import CUT_PATCHES
from edge.model.vision_attention import attended_head_dim, has_fused_kernels, score_bytes
from edge.packed_products import piece_bytes
from edge.products import MOST_CUT_BYTES, are_scores_numpys

CPU_SCORES_ALIVE, CPU_BLOCKS_ALIVE = 1.75, 3.0
"""MLX's CPU queue keeps results alive: of n blocks of scores 1.75 n, and at most 3, since it is held back."""


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
        and DeepStack results, the part of a packed matrix that is unpacked, and the larger of the attention part (q, k,
        v as projected, padded, mixed, and scores) and the feed-forward part (two cuts: the next begins before the last
        is freed). MLX would queue more than this of many operations: `edge.run.flight` holds it back.
    """
    num_patches = sum(frames * height * width for frames, height, width in grids)
    scores = _peak_score_bytes(config, grids, value_bytes=value_bytes, is_fused=is_fused)
    padded = config.num_heads * attended_head_dim(config.head_dim, is_fused=is_fused)
    steady = value_bytes * config.patch_values * config.hidden_size + num_patches * (
        4 * config.patch_values
        + 4 * config.head_dim
        + value_bytes * 3 * config.hidden_size
        + value_bytes * config.out_hidden_size * (1 + len(config.deepstack_indexes)) // config.merge_area
    )
    attention = num_patches * value_bytes * (3 * config.hidden_size + 5 * padded)
    wide = 3 * max(config.intermediate_size, config.hidden_size)
    feed_forward = value_bytes * (min(num_patches, 2 * CUT_PATCHES) * wide + num_patches * 2 * config.hidden_size)
    unpacked = piece_bytes(config.hidden_size * wide, value_bytes=value_bytes)
    return steady + max(attention + scores, feed_forward) + unpacked


def _peak_score_bytes(config: VisionConfig, grids: Sequence[Grid], *, value_bytes: int, is_fused: bool | None) -> int:
    """Bound the scores that are in memory at a time, none where kernels are fused; media run one after the other."""
    if has_fused_kernels() if is_fused is None else is_fused:
        return 0
    full = max(4 * config.num_heads * frames * (height * width) ** 2 for frames, height, width in grids)
    if is_fused is None and are_scores_numpys(value_bytes=value_bytes):
        return min(full, MOST_CUT_BYTES)
    one_row = max(4 * config.num_heads * height * width for _, height, width in grids)
    block = min(full, max(score_bytes(), one_row))  # the scores of one call
    if mx.default_device().type == mx.DeviceType.gpu:
        return block
    return int(block * min(CPU_SCORES_ALIVE * full / block, CPU_BLOCKS_ALIVE))
