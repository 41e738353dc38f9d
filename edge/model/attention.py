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
from edge.kv.apart import attend_each
from edge.kv.layer import LayerMemory
from edge.model.linear import Linear
from edge.model.quantized import project_to
from edge.model.rope import Rope, attention_scale, turn_heads, weight_halves
from edge.products import attend as attend_heads


class Attention(nn.Module):
    """Self attention of one decoder layer; files keep the parts of `qkv_proj` and `qk_norm_halves` apart.

    The rows of `qk_norm_halves` are those of all heads; the values', which have no norm, are not used. They lie as the
    rotation takes them, (H + 2K, 1, 1, Dh / 2) for each half of a head: cut anew for every token they would be two more
    operations a layer.
    """

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        num_heads = config.num_heads + 2 * config.num_kv_heads
        self.qkv_proj = Linear(config.hidden_size, num_heads * config.head_dim, bias=False)
        self.o_proj = Linear(config.num_heads * config.head_dim, config.hidden_size, bias=False)
        self.qk_norm_halves = weight_halves(mx.ones((num_heads, config.head_dim)))

    def __call__(self, hidden: mx.array, *, rope: Rope, memory: Sequence[LayerMemory] | None) -> mx.array:
        """Attend from the new tokens (B, L, D), normalised, to the remembered and the new ones; see `attend`."""
        queries, keys_values = self.project(hidden, rope)
        return self.project_out(attend(queries, keys_values, memory=memory, scale=self.scale))

    @property
    def scale(self) -> float:
        """Factor of the scores."""
        return attention_scale(self.config.rope, self.config.head_dim)

    def project(self, hidden: mx.array, rope: Rope, *, last_only: bool = False) -> tuple[mx.array, mx.array]:
        """Return rotated queries and keys with the values behind them.

        Args:
            hidden: (B, L, D), normalised.
            rope: Positions of the L tokens.
            last_only: Make queries of the last token only; the others' are four fifths of the projection.

        Returns:
            Queries (B, H, L, Dh), or (B, H, 1, Dh) with `last_only`; keys and values (B, 2K, L, Dh).
        """
        config, split = self.config, self.config.num_heads * self.config.head_dim
        if last_only and hidden.shape[1] > 1:
            width = (config.num_heads + 2 * config.num_kv_heads) * config.head_dim
            queries = project_to(self.qkv_proj, hidden[:, -1:], 0, split)
            keys_values = project_to(self.qkv_proj, hidden, split, width)
            last = Rope(rope.of_first[:, :, -1:], rope.of_second[:, :, -1:])
            of_queries, of_others = zip(
                *(mx.split(half, [config.num_heads]) for half in self.qk_norm_halves), strict=True
            )
            return (
                self._turn(queries, last, of_queries, num_turned=config.num_heads),
                self._turn(keys_values, rope, of_others, num_turned=config.num_kv_heads),
            )
        num_turned = config.num_heads + config.num_kv_heads
        heads = self._turn(self.qkv_proj(hidden), rope, self.qk_norm_halves, num_turned=num_turned)
        queries, keys_values = mx.split(heads, [config.num_heads], axis=1)
        return queries, keys_values

    def _turn(self, projected: mx.array, rope: Rope, weights: Sequence[mx.array], *, num_turned: int) -> mx.array:
        """Normalise and rotate the first heads of (B, L, heads * Dh); returns all of them, (B, heads, L, Dh)."""
        raw = split_heads(projected, self.config.head_dim)
        normed = mx.fast.rms_norm(raw, None, self.config.rms_norm_eps)
        return turn_heads(rope, normed, weights=weights, raw=raw, num_turned=num_turned)

    def project_out(self, mixed: mx.array) -> mx.array:
        """Map mixed values (B, H, L, Dh) to (B, L, D)."""
        return self.o_proj(join_heads(mixed))


def attend(queries: mx.array, keys_values: mx.array, *, memory: Sequence[LayerMemory] | None, scale: float) -> mx.array:
    """Attend from the newest tokens of each row to all of it.

    Args:
        queries: (B, H, L, Dh) of the newest tokens, or of the last of them only.
        keys_values: Keys and values of all new tokens, (B, 2K, N, Dh), N >= L.
        memory: What each row holds of this layer, extended by this call; None if nothing is to be remembered.
        scale: Factor of the scores.

    Returns:
        (B, H, L, Dh).
    """
    mask: Literal["causal"] | None = "causal" if queries.shape[2] > 1 else None
    if memory is None:
        keys, values = mx.split(keys_values, 2, axis=1)
        return attend_heads(queries, keys, values, scale=scale, mask=mask)
    if len(memory) == 1:
        memory[0].append(keys_values)
        return memory[0].attend(queries, scale=scale, mask=mask)
    for own, new in zip(memory, mx.split(keys_values, len(memory)), strict=True):
        own.append(new)
    return attend_each(queries, memory, scale=scale, mask=mask)


def split_heads(rows: mx.array, head_dim: int) -> mx.array:
    """Turn (B, L, H * Dh) into (B, H, L, Dh)."""
    if rows.shape[1] == 1:  # the same memory: no axes to swap
        return rows.reshape(rows.shape[0], -1, 1, head_dim)
    return mx.unflatten(rows, -1, (-1, head_dim)).transpose(0, 2, 1, 3)


def join_heads(heads: mx.array) -> mx.array:
    """Turn (B, H, L, Dh) into (B, L, H * Dh)."""
    if heads.shape[2] == 1:
        return heads.reshape(heads.shape[0], 1, -1)
    return heads.transpose(0, 2, 1, 3).flatten(2)
