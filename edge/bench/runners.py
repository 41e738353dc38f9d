"""Run a model without an engine around it, ours or mlx-lm's, so that both can be timed in the same way.

In: a model. Out: a `Runner`: prefill and decode steps whose results are not waited for, greedy.
"""

from __future__ import annotations

import time
from typing import Any, Protocol

import mlx.core as mx
import numpy as np

from edge.kv.make import make_memory
from edge.model.qwen3vl import Qwen3VL
from edge.packed_products import reading_prompt
from edge.run.replay import ShortForwards

CHUNK_TOKENS = 2048


class Runner(Protocol):
    """A model with an empty memory."""

    name: str

    def start(self) -> None:
        """Forget everything."""
        ...

    def forward(self, token_ids: mx.array) -> mx.array:
        """Return the best next token (1,) after more tokens (1, L), not computed yet."""
        ...


class OurRunner:
    """This runtime's model."""

    name = "edge"

    def __init__(self, model: Qwen3VL) -> None:
        """Wrap a model; on a GPU its decode steps are replayed, as the engine does."""
        on_gpu = mx.default_device().type == mx.DeviceType.gpu
        self._model = ShortForwards(model) if on_gpu else model
        self._text = model.config.text
        self.start()

    def start(self) -> None:
        """Forget everything."""
        self._memory = make_memory(self._text, kv_bits=None)
        self._num_tokens = 0

    def forward(self, token_ids: mx.array) -> mx.array:
        """Return the best next token."""
        length = token_ids.shape[1]
        span = np.arange(self._num_tokens, self._num_tokens + length)
        positions = np.broadcast_to(span, (3, 1, length))
        self._num_tokens += length
        with reading_prompt():  # one token is MLX's either way
            logits = self._model(token_ids, positions=positions, memory=[self._memory], last_only=True)
        return mx.argmax(logits[:, -1], axis=-1)


class MlxLmRunner:
    """mlx-lm's model; a chunk before the last is not sent through the head, as its own prefill does."""

    name = "mlx-lm"

    def __init__(self, model: Any) -> None:  # Any: mlx-lm has no types
        self._model = model
        self.start()

    def start(self) -> None:
        """Forget everything."""
        from mlx_lm.models.cache import make_prompt_cache

        self._cache = make_prompt_cache(self._model)

    def forward(self, token_ids: mx.array) -> mx.array:
        """Return the best next token; as mlx-lm generates: all of a prompt but its last token comes before."""
        if token_ids.shape[1] > 1:
            self._model(token_ids[:, :-1], cache=self._cache)
            mx.eval([layer.state for layer in self._cache])
        logits = self._model(token_ids[:, -1:], cache=self._cache)
        return mx.argmax(logits[:, -1], axis=-1)


def prefill_s(runner: Runner, token_ids: np.ndarray) -> float:
    """Prefill a prompt (L,) in chunks from nothing; return seconds to its first token."""
    runner.start()
    started = time.perf_counter()
    for start in range(0, len(token_ids), CHUNK_TOKENS):
        mx.eval(runner.forward(mx.array(token_ids[None, start : start + CHUNK_TOKENS])))
    return time.perf_counter() - started


def decode_s(runner: Runner, num_tokens: int) -> float:
    """Decode some tokens behind what is there, each step queued before the last is read; return seconds."""
    token = runner.forward(mx.array([[1]]))
    mx.eval(token)
    started = time.perf_counter()
    for _ in range(num_tokens):
        following = runner.forward(token[None])
        mx.async_eval(following)
        token.item()
        token = following
    token.item()
    return time.perf_counter() - started


def build_s(runner: Runner, num_tokens: int) -> list[float]:
    """Return the processor's seconds for building the graph of each of some decode steps; computing is not in them."""
    token = runner.forward(mx.array([[1]]))
    mx.eval(token)
    times = []
    for _ in range(num_tokens):
        started = time.thread_time()
        token = runner.forward(token[None])
        times.append(time.thread_time() - started)
        mx.eval(token)
    return times
