"""Grouped-query attention of the decoder, with a norm on every query and key head.

The cache, the rope and the mask are arguments; the module holds weights only.
"""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn

from edge.config import TextConfig
from edge.model.rope import Rope, apply_rope, attention_scale
from edge.model.types import LayerCache, Mask


class Attention(nn.Module):
    """Self attention of one decoder layer, parameter paths as in published MLX files."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        query_size = config.num_heads * config.head_dim
        kv_size = config.num_kv_heads * config.head_dim
        self.q_proj = nn.Linear(config.hidden_size, query_size, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, kv_size, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, kv_size, bias=False)
        self.o_proj = nn.Linear(query_size, config.hidden_size, bias=False)
        self.q_norm = nn.RMSNorm(config.head_dim, eps=config.rms_norm_eps)
        self.k_norm = nn.RMSNorm(config.head_dim, eps=config.rms_norm_eps)

    def __call__(self, hidden: mx.array, *, rope: Rope, mask: Mask, cache: LayerCache | None) -> mx.array:
        """Attend from the new tokens to the cached and the new ones.

        Args:
            hidden: (B, L, D), normalised.
            rope: Positions of the new tokens.
            mask: What a token may see.
            cache: Keys and values of earlier tokens, extended by this call; None if there are none.

        Returns:
            (B, L, D).
        """
        queries, keys, values = self.project(hidden, rope)
        if cache is not None:
            keys, values = cache.update_and_fetch(keys, values)
        scale = attention_scale(self.config.rope, self.config.head_dim)
        mixed = mx.fast.scaled_dot_product_attention(queries, keys, values, scale=scale, mask=mask)
        return self.o_proj(mixed.transpose(0, 2, 1, 3).flatten(2))  # (B, L, H * Dh) -> (B, L, D)

    def project(self, hidden: mx.array, rope: Rope) -> tuple[mx.array, mx.array, mx.array]:
        """Return rotated queries (B, H, L, Dh), rotated keys and values (B, K, L, Dh)."""
        head_dim = self.config.head_dim
        queries = self.q_norm(mx.unflatten(self.q_proj(hidden), -1, (-1, head_dim))).transpose(0, 2, 1, 3)
        keys = self.k_norm(mx.unflatten(self.k_proj(hidden), -1, (-1, head_dim))).transpose(0, 2, 1, 3)
        values = mx.unflatten(self.v_proj(hidden), -1, (-1, head_dim)).transpose(0, 2, 1, 3)
        return apply_rope(rope, queries), apply_rope(rope, keys), values
