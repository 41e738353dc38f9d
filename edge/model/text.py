"""The decoder: embedding, layers with DeepStack rows, final norm and logits."""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx
import mlx.nn as nn

from edge.config import TextConfig
from edge.kv.layer import LayerMemory, RowMemory
from edge.model.attention import Attention, attend
from edge.model.linear import Embedding, Linear
from edge.model.moe import MLP, SparseBlock
from edge.model.rope import Rope
from edge.model.types import VisualRows


class DecoderLayer(nn.Module):
    """Attention and feed-forward part of one layer, each with a norm before and a residual around it."""

    def __init__(self, config: TextConfig, layer_index: int) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.mlp: MLP | SparseBlock
        if config.moe is not None and config.is_sparse_layer(layer_index):
            self.mlp = SparseBlock(config.hidden_size, config.moe)
        else:
            self.mlp = MLP(config.hidden_size, config.intermediate_size)

    def __call__(
        self, hidden: mx.array, *, rope: Rope, memory: Sequence[LayerMemory] | None, last_only: bool = False
    ) -> mx.array:
        """Map (B, L, D) to (B, L, D), or to (B, 1, D) with `last_only`; all tokens are remembered either way."""
        queries, keys_values = self.before(hidden, rope, last_only=last_only)
        if last_only:
            hidden = hidden[:, -1:]
        return self.after(hidden, attend(queries, keys_values, memory=memory, scale=self.self_attn.scale))

    def before(self, hidden: mx.array, rope: Rope, *, last_only: bool = False) -> tuple[mx.array, mx.array]:
        """Compute what attention needs of (B, L, D): see `Attention.project`."""
        return self.self_attn.project(self.input_layernorm(hidden), rope, last_only=last_only)

    def after(self, hidden: mx.array, mixed: mx.array) -> mx.array:
        """Add what was attended to, (B, H, L, Dh), to (B, L, D), and the feed-forward part."""
        hidden = hidden + self.self_attn.project_out(mixed)
        return self.mlp(self.post_attention_layernorm(hidden), residual=hidden)


class Decoder(nn.Module):
    """Embedding, layers and final norm."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.embed_tokens = Embedding(config.vocab_size, config.hidden_size)
        self.layers = [DecoderLayer(config, index) for index in range(config.num_layers)]
        self.norm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)

    def embed(self, token_ids: mx.array, visual: VisualRows | None) -> mx.array:
        """Look up tokens and put visual features in their rows.

        Args:
            token_ids: (B, L) integers.
            visual: Rows that hold visual tokens, if any.

        Returns:
            (B, L, D) in the compute type, which is that of the norms (dequantizing may give another one).
        """
        embedded = self.embed_tokens(token_ids).astype(self.norm.weight.dtype)
        return embedded if visual is None else put_rows(embedded, visual.row_indexes, visual.output.features)

    def __call__(
        self,
        hidden: mx.array,
        *,
        rope: Rope,
        memory: Sequence[RowMemory] | None,
        visual: VisualRows | None,
        last_only: bool = False,
    ) -> mx.array:
        """Run all layers on embedded tokens.

        Args:
            hidden: (B, L, D).
            rope: Positions of the tokens.
            memory: Per row, one memory per layer; None if nothing is to be remembered.
            visual: Visual rows; level i of DeepStack is added after layer i, at these rows only.
            last_only: Compute the result of the last token only; the last layer is asked for no other.

        Returns:
            (B, L, D), before the final norm, or (B, 1, D) with `last_only`.
        """
        num_levels = 0 if visual is None else len(visual.output.deepstack)
        for index, layer in enumerate(self.layers):
            own = None if memory is None else [row[index] for row in memory]
            is_cut = last_only and index == len(self.layers) - 1 and index >= num_levels
            hidden = layer(hidden, rope=rope, memory=own, last_only=is_cut)
            if visual is not None and index < num_levels:
                hidden = add_rows(hidden, visual.row_indexes, visual.output.deepstack[index])
        return hidden[:, -1:] if last_only else hidden


class LanguageModel(nn.Module):
    """Decoder and vocabulary projection (`lm_head`, or the embedding when tied)."""

    def __init__(self, config: TextConfig, *, is_tied: bool) -> None:
        super().__init__()
        self.model = Decoder(config)
        if not is_tied:
            self.lm_head = Linear(config.hidden_size, config.vocab_size, bias=False)
        self.is_tied = is_tied

    def logits(self, hidden: mx.array) -> mx.array:
        """Normalise (B, L, D) and project to (B, L, V)."""
        normed = self.model.norm(hidden)
        return self.model.embed_tokens.as_linear(normed) if self.is_tied else self.lm_head(normed)


def put_rows(hidden: mx.array, row_indexes: mx.array, rows: mx.array) -> mx.array:
    """Replace flat rows of (B, L, D) by (K, D) and return the new array."""
    flat = hidden.reshape(-1, hidden.shape[-1])
    flat[row_indexes] = rows.astype(hidden.dtype)
    return flat.reshape(hidden.shape)


def add_rows(hidden: mx.array, row_indexes: mx.array, rows: mx.array) -> mx.array:
    """Add (K, D) to flat rows of (B, L, D) and return the new array."""
    flat = hidden.reshape(-1, hidden.shape[-1])
    return flat.at[row_indexes].add(rows.astype(hidden.dtype)).reshape(hidden.shape)
