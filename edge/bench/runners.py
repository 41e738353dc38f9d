"""Run a model without an engine around it, ours, mlx-lm's or mlx-vlm's, so that all can be timed in the same way.

In: a model. Out: a `Runner`: prefill and decode steps whose results are not waited for, greedy; those of models with a
tower take a picture too.
"""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from edge.bench.picture_turn import PictureTurn
from edge.kv.make import bytes_per_token, make_memory
from edge.memory import plan_request
from edge.model.qwen3vl import Qwen3VL
from edge.model.types import Grid, VisualRows
from edge.prompt.positions import Span, make_positions
from edge.run.build import precision_of
from edge.run.flight import held_to
from edge.run.forward import visual_rows
from edge.run.replay import ShortForwards
from edge.run.see import Seeing

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
    """This runtime's model; while a prompt is read it is held to the memory planned, as in the engine's loop."""

    name = "edge"

    def __init__(self, model: Qwen3VL) -> None:
        """Wrap a model; on a GPU its decode steps are replayed, as the engine does."""
        on_gpu = mx.default_device().type == mx.DeviceType.gpu
        self._model = ShortForwards(model) if on_gpu else model
        self._config = model.config
        self._precision = precision_of(model)
        self.start()

    def start(self) -> None:
        """Forget everything."""
        self._memory = make_memory(self._config.text, kv_bits=None)
        self._num_tokens = 0

    def forward(self, token_ids: mx.array) -> mx.array:
        """Return the best next token."""
        length = token_ids.shape[1]
        span = np.arange(self._num_tokens, self._num_tokens + length)
        positions = np.broadcast_to(span, (3, 1, length))
        self._num_tokens += length
        best = self._best(token_ids, positions)
        if length > 1:
            with held_to(self._planned_bytes(length)):
                mx.eval(best)
        return best

    def first_token(self, turn: PictureTurn) -> mx.array:
        """Return the best next token; the tower runs in slices, as in the engine's loop."""
        self.start()
        length = len(turn.token_ids)
        start = int(np.flatnonzero(turn.token_ids == self._config.image_token_id)[0])
        with held_to(self._planned_bytes(length, turn.grid_thw)):
            seeing = Seeing(self._model, turn, num_blocks=self._config.vision.depth)
            while (output := seeing.advance()) is None:
                pass
            spans = [Span(start, len(output.features), media_index=0, media_offset=0, grid=turn.grid_thw)]
            positions = make_positions(length, spans, merge_size=self._config.vision.spatial_merge_size)[:, None]
            visual = visual_rows(spans, {0: output}, start=0, stop=length)
            best = self._best(mx.array(turn.token_ids[None]), positions, visual)
            mx.eval(best)
        return best

    def _best(self, token_ids: mx.array, positions: NDArray[np.integer], visual: VisualRows | None = None) -> mx.array:
        logits = self._model(token_ids, positions=positions, memory=[self._memory], visual=visual, last_only=True)
        return mx.argmax(logits[:, -1], axis=-1)

    def _planned_bytes(self, length: int, *unseen: Grid) -> int:
        itemsize = self._precision.itemsize
        plan = plan_request(
            self._config,
            precision=self._precision,
            token_bytes=bytes_per_token(self._config.text, kv_bits=None, itemsize=itemsize),
            new_tokens=length,
            context_tokens=self._num_tokens + length,
            unseen=unseen,
            available=sys.maxsize,
        )
        return plan.needed_bytes


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


class MlxVlmRunner:
    """mlx-vlm's model, called as its own generation calls it; a prompt is not longer than a chunk."""

    name = "mlx-vlm"

    def __init__(self, model: Any) -> None:  # Any: mlx-vlm has no types
        self._model = model
        self.start()

    def start(self) -> None:
        """Forget everything, the rotary positions that the model keeps included."""
        from mlx_vlm.models.cache import make_prompt_cache

        self._cache = make_prompt_cache(self._model.language_model)
        self._model.language_model._rope_deltas = None
        self._model.language_model._position_ids = None

    def forward(self, token_ids: mx.array) -> mx.array:
        """Return the best next token."""
        return self._prompt(token_ids) if token_ids.shape[1] > 1 else self._best(token_ids)

    def first_token(self, turn: PictureTurn) -> mx.array:
        """Return the best next token."""
        self.start()
        grids = mx.array([turn.grid_thw])
        return self._prompt(mx.array(turn.token_ids[None]), pixel_values=mx.array(turn.patches), image_grid_thw=grids)

    def _prompt(self, token_ids: mx.array, **media: mx.array) -> mx.array:
        found = self._model.get_input_embeddings(token_ids, **media).to_dict()
        embedded = found.pop("inputs_embeds")
        given = {name: value for name, value in found.items() if value is not None}
        self._best(token_ids[:, :-1], inputs_embeds=embedded[:, :-1], **given)
        mx.eval([layer.state for layer in self._cache])
        return self._best(token_ids[:, -1:], inputs_embeds=embedded[:, -1:], **given)

    def _best(self, token_ids: mx.array, **given: mx.array) -> mx.array:
        found = self._model.language_model(token_ids, cache=self._cache, logits_to_keep=1, **given)
        return mx.argmax(found.logits[:, -1], axis=-1)


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
