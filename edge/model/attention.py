"""Grouped-query attention of the decoder, with a norm on every query and key head.

One projection makes queries, keys and values of all rows; then each row attends within its own memory. Memories and
rope are arguments, the module holds weights only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import mlx.core as mx
import mlx.nn as nn

from edge.config import TextConfig
from edge.kv.layer import LayerMemory
from edge.model.rope import Rope, apply_rope, attention_scale


class Attention(nn.Module):
    """Self attention of one decoder layer; files keep the parts of `qkv_proj` and `qk_norm_weight` apart."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        num_rotated = config.num_heads + config.num_kv_heads
        width = (num_rotated + config.num_kv_heads) * config.head_dim
        self.qkv_proj = nn.Linear(config.hidden_size, width, bias=False)
        self.o_proj = nn.Linear(config.num_heads * config.head_dim, config.hidden_size, bias=False)
        self.qk_norm_weight = mx.ones((num_rotated, config.head_dim))

    def __call__(self, hidden: mx.array, *, rope: Rope, memory: Sequence[LayerMemory] | None) -> mx.array:
        """Attend from the new tokens to the remembered and the new ones.

        Args:
            hidden: (B, L, D), normalised.
            rope: Positions of the new tokens.
            memory: What each row holds of this layer, extended by this call; None if nothing is to be remembered.

        Returns:
            (B, L, D).
        """
        queries, keys, values = self.project(hidden, rope)
        scale = attention_scale(self.config.rope, self.config.head_dim)
        mask: Literal["causal"] | None = "causal" if hidden.shape[1] > 1 else None
        if memory is None:
            mixed = mx.fast.scaled_dot_product_attention(queries, keys, values, scale=scale, mask=mask)
        else:
            rows = []
            for index, own in enumerate(memory):
                row = slice(index, index + 1)
                own.append(keys[row], values[row])
                rows.append(own.attend(queries[row], scale=scale, mask=mask))
            mixed = rows[0] if len(rows) == 1 else mx.concatenate(rows)
        return self.o_proj(mixed.transpose(0, 2, 1, 3).flatten(2))  # (B, L, H * Dh) -> (B, L, D)

    def project(self, hidden: mx.array, rope: Rope) -> tuple[mx.array, mx.array, mx.array]:
        """Return rotated queries (B, H, L, Dh), rotated keys and values (B, K, L, Dh)."""
        config = self.config
        heads = mx.unflatten(self.qkv_proj(hidden), -1, (-1, config.head_dim))  # (B, L, H + 2K, Dh)
        num_rotated = config.num_heads + config.num_kv_heads
        values = heads[:, :, num_rotated:].transpose(0, 2, 1, 3)
        normed = mx.fast.rms_norm(heads[:, :, :num_rotated], None, config.rms_norm_eps) * self.qk_norm_weight
        rotated = apply_rope(rope, normed.transpose(0, 2, 1, 3))  # (B, H + K, L, Dh)
        return rotated[:, : config.num_heads], rotated[:, config.num_heads :], values
