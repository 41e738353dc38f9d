"""Run forwards of a few tokens through compiled pieces: traced once, then only replayed.

In: a model. Out: an object that is called as the model is. Python builds the graph of every forward anew, which for one
token takes longer than a GPU computes. Between two attentions nothing depends on how much a row remembers, so the
pieces there keep their shapes from token to token; attention stays outside, where each row has its own memory. A piece
is traced again for another number of rows or of new tokens.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import partial
from itertools import pairwise

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from edge.kv.layer import RowMemory
from edge.model.attention import attend
from edge.model.qwen3vl import Qwen3VL
from edge.model.rope import Rope, attention_scale, make_rope
from edge.model.text import DecoderLayer, LanguageModel
from edge.model.types import Grid, VisionOutput, VisualRows

MOST_TOKENS = 8
"""New tokens of a row: a decode step, or one that verifies guesses. The length of a longer forward seldom comes again,
so it is not worth a trace."""


class ShortForwards:
    """A model whose forwards of a few tokens are replayed; all others are the model's own.

    The weights are held as they are when a forward first comes. On the CPU MLX's compiler needs a C++ compiler, so
    this is for GPUs (and for tests).
    """

    def __init__(self, model: Qwen3VL) -> None:
        """Wrap a model whose weights are in place; nothing is traced yet."""
        self.model = model
        language = model.language_model
        self._first = mx.compile(partial(_first, language))
        self._between = [mx.compile(partial(_between, *pair)) for pair in pairwise(language.model.layers)]
        self._last = mx.compile(partial(_last, language))

    def vision_steps(self, patches: mx.array, grids: Sequence[Grid]) -> Generator[mx.array, None, VisionOutput]:
        """Encode pictures and videos; see `Qwen3VL.vision_steps`."""
        return self.model.vision_steps(patches, grids)

    def __call__(
        self,
        token_ids: mx.array,
        *,
        positions: NDArray[np.integer],
        memory: Sequence[RowMemory] | None = None,
        visual: VisualRows | None = None,
        last_only: bool = False,
    ) -> mx.array:
        """Compute the logits of new tokens; see `Qwen3VL.__call__`."""
        if memory is None or visual is not None or token_ids.shape[1] > MOST_TOKENS:
            return self.model(token_ids, positions=positions, memory=memory, visual=visual, last_only=last_only)
        text = self.model.config.text
        rope = make_rope(positions, config=text.rope, head_dim=text.head_dim)
        scale = attention_scale(text.rope, text.head_dim)
        by_layer = list(zip(*memory, strict=True))
        hidden, queries, keys_values = self._first(token_ids, rope.of_first, rope.of_second)
        for piece, own in zip(self._between, by_layer, strict=False):
            mixed = attend(queries, keys_values, memory=own, scale=scale)
            hidden, queries, keys_values = piece(hidden, mixed, rope.of_first, rope.of_second)
        if last_only and hidden.shape[1] > 1:
            hidden, queries = hidden[:, -1:], queries[:, :, -1:]
        return self._last(hidden, attend(queries, keys_values, memory=by_layer[-1], scale=scale))


_Piece = tuple[mx.array, mx.array, mx.array]
"""Hidden state (B, L, D), queries (B, H, L, Dh), keys with values behind them (B, 2K, L, Dh)."""


def _first(language: LanguageModel, token_ids: mx.array, of_first: mx.array, of_second: mx.array) -> _Piece:
    hidden = language.model.embed(token_ids, None)
    return hidden, *language.model.layers[0].before(hidden, Rope(of_first, of_second))


def _between(
    one: DecoderLayer,
    following: DecoderLayer,
    hidden: mx.array,
    mixed: mx.array,
    of_first: mx.array,
    of_second: mx.array,
) -> _Piece:
    hidden = one.after(hidden, mixed)
    return hidden, *following.before(hidden, Rope(of_first, of_second))


def _last(language: LanguageModel, hidden: mx.array, mixed: mx.array) -> mx.array:
    return language.logits(language.model.layers[-1].after(hidden, mixed))
