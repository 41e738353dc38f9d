"""Run a model over a prompt and then token by token.

In: a `Prompt`, the vision outputs of its media, a cache that holds a prefix. Out: token ids.
`Generation` is one answer in the making; it owns what a request may change (cache, random key, counts), so two of
them on one model do not know of each other (PEERS 3). The model remembers no position: prefill slices
`prompt.positions`, decoding goes on at `prompt.next_position` (PEERS 16).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, cast

import mlx.core as mx
import numpy as np

from edge.cache.kv import KVCache
from edge.generate.sampling import Sampler
from edge.kv.layer import RowMemory
from edge.model.types import VisionOutput, VisualRows
from edge.prompt.build import Prompt, Span

# MLX keeps freed buffers; over many steps of slowly growing sizes that adds up.
CLEAR_EVERY_TOKENS = 256


class DecoderModel(Protocol):
    """What generation needs from `edge.model.qwen3vl.Qwen3VL`."""

    def __call__(
        self,
        token_ids: mx.array,
        *,
        positions: np.ndarray,
        memory: Sequence[RowMemory] | None = None,
        visual: VisualRows | None = None,
        last_only: bool = False,
    ) -> mx.array:
        """Return logits (B, L, V), or (B, 1, V) with `last_only`."""
        ...


class Generation:
    """One answer in the making.

    Call `prefill` to its end, then `next_token` as often as wanted. `cache` always holds exactly the first
    `num_cached` tokens of prompt and answer.
    """

    def __init__(
        self, model: DecoderModel, prompt: Prompt, *, cache: list[KVCache], num_cached: int, sampler: Sampler
    ) -> None:
        """Start an answer.

        Args:
            model: The model.
            prompt: L tokens.
            cache: One per layer, holding the first `num_cached` < L tokens of the prompt.
            num_cached: Tokens in the cache.
            sampler: This request's own.
        """
        self._model = model
        self._prompt = prompt
        self._sampler = sampler
        self._pending: mx.array | None = None
        self.cache = cache
        self.num_cached = num_cached
        self.token_ids: list[int] = []

    @property
    def prompt_tokens(self) -> int:
        """Length of the prompt."""
        return len(self._prompt.token_ids)

    def prefill(self, outputs: Mapping[int, VisionOutput], *, chunk_tokens: int) -> Iterator[int]:
        """Compute the rest of the prompt chunk by chunk, and queue the first token.

        Args:
            outputs: Vision output by media index, for all media with tokens past `num_cached`.
            chunk_tokens: Tokens per forward; bounds the memory of the step.

        Yields:
            `num_cached` after each chunk; the cache is consistent there, and the caller may stop.
        """
        length = self.prompt_tokens
        while self.num_cached < length:
            start, stop = self.num_cached, min(self.num_cached + chunk_tokens, length)
            logits = self._model(
                mx.array(self._prompt.token_ids[None, start:stop]),
                positions=self._prompt.positions[:, None, start:stop],
                memory=[cast(RowMemory, self.cache)],
                visual=visual_rows(self._prompt.spans, outputs, start=start, stop=stop),
                last_only=True,
            )
            self.num_cached = stop
            if stop == length:
                self._pending = self._sampler.sample(logits[0, -1])
                mx.async_eval(self._pending)
            else:
                # Only the caches are computed: nobody asks for the logits of an inner chunk.
                mx.eval([layer.state for layer in self.cache])
                mx.clear_cache()
            yield stop

    def next_token(self, *, is_last: bool = False) -> int:
        """Return the next token id; before waiting for it, queue the step after it.

        Args:
            is_last: No further token is wanted, so none is queued.
        """
        token = self._pending
        assert token is not None, "prefill has not run to its end"
        self._pending = None
        if not is_last:
            self._queue_step(token)
        token_id = int(np.array(token)[0])  # the one wait for the device in a step
        self.token_ids.append(token_id)
        if len(self.token_ids) % CLEAR_EVERY_TOKENS == 0:
            mx.clear_cache()
        return token_id

    def force(self, token_id: int) -> None:
        """Put a given token in place of the queued one, which nothing has used yet."""
        assert self._pending is not None, "no token is queued"
        self._pending = mx.array([token_id], dtype=mx.int32)

    def _queue_step(self, token: mx.array) -> None:
        """Start computing the token after `token`, (1,) int32."""
        self._sampler.accept(token)
        position = self._prompt.next_position + self.num_cached - self.prompt_tokens
        logits = self._model(
            token[None],
            positions=np.full((3, 1, 1), position, dtype=np.int32),
            memory=[cast(RowMemory, self.cache)],
            last_only=True,
        )
        self.num_cached += 1
        self._pending = self._sampler.sample(logits[0, -1])
        mx.async_eval(self._pending)


def visual_rows(
    spans: Sequence[Span], outputs: Mapping[int, VisionOutput], *, start: int, stop: int
) -> VisualRows | None:
    """Take the visual tokens of one chunk out of whole media, DeepStack levels included (PEERS 2).

    Args:
        spans: All spans of the prompt, sorted.
        outputs: Vision output by media index.
        start: First token of the chunk.
        stop: First token after it.

    Returns:
        Rows relative to the chunk, or None when it has no visual token.
    """
    indexes: list[np.ndarray] = []
    parts: list[tuple[VisionOutput, int, int]] = []
    for span in spans:
        low, high = max(span.start, start), min(span.start + span.length, stop)
        if low < high:
            indexes.append(np.arange(low - start, high - start, dtype=np.int32))
            first = span.media_offset + low - span.start
            parts.append((outputs[span.media_index], first, first + high - low))
    if not parts:
        return None
    features = mx.concatenate([output.features[a:b] for output, a, b in parts])
    levels = len(parts[0][0].deepstack)
    deepstack = tuple(mx.concatenate([output.deepstack[i][a:b] for output, a, b in parts]) for i in range(levels))
    return VisualRows(mx.array(np.concatenate(indexes)), VisionOutput(features, deepstack))
