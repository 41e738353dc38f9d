"""A text-only Qwen3 as draft, read and run by mlx-lm: it guesses from the text of a prompt and sees no picture.

mlx-lm is imported when such a draft is read and never else: it imports transformers, which takes seconds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten

from edge.prompt.build import Prompt
from edge.run.draft import SLICE_TOKENS, Draft, DraftRow

# mlx-lm has no types.
Model = Any


class TextDraft(Draft):
    """A small text model."""

    def __init__(self, model: Model, *, token_bytes: int) -> None:
        """Take a model of mlx-lm, its weights in memory."""
        arrays: list[tuple[str, mx.array]] = tree_flatten(model.parameters())  # type: ignore[assignment]  # mlx: a union
        super().__init__(weight_bytes=sum(array.nbytes for _, array in arrays), token_bytes=token_bytes)
        self.model = model

    def start(self, prompt: Prompt) -> DraftRow:
        """Begin a row; nothing is computed yet."""
        return _TextRow(self, prompt)


def read_text_draft(folder: Path) -> TextDraft:
    """Read a text model; on the model thread."""
    from mlx_lm.utils import load_model

    model, raw = load_model(folder)
    heads = raw.get("head_dim") or raw["hidden_size"] // raw["num_attention_heads"]
    itemsize = 4 if mx.default_device().type == mx.DeviceType.cpu else 2
    token_bytes = 2 * raw["num_hidden_layers"] * raw["num_key_value_heads"] * heads * itemsize
    return TextDraft(model, token_bytes=token_bytes)


class _TextRow(DraftRow):
    def __init__(self, draft: TextDraft, prompt: Prompt) -> None:
        from mlx_lm.models.cache import make_prompt_cache

        super().__init__(draft)
        self._model = draft.model
        self._cache: list[Any] = make_prompt_cache(draft.model)
        is_text = np.ones(len(prompt.token_ids), dtype=np.bool_)
        for span in prompt.spans:
            is_text[span.start : span.end] = False
        self._token_ids = prompt.token_ids[is_text]
        self._num_read = 0

    @property
    def is_ready(self) -> bool:
        return self._num_read == len(self._token_ids)

    def advance(self) -> None:
        stop = min(self._num_read + SLICE_TOKENS, len(self._token_ids))
        self._model(mx.array(self._token_ids[None, self._num_read : stop]), cache=self._cache)
        mx.eval([layer.state for layer in self._cache])
        self._num_read = stop

    def _forget(self, num_tokens: int) -> None:
        for layer in self._cache:
            layer.trim(num_tokens)

    def _feed(self, token_ids: mx.array, place: int) -> mx.array:
        return mx.argmax(self._model(token_ids[None], cache=self._cache)[0, -1], keepdims=True)
