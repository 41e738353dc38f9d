"""Make one answer: prefill, then decode until an end, with its times and counts.

In: a `Generation`, an `AnswerReader`, limits. Out: text and reasoning events, then a `FinishEvent`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping

import mlx.core as mx

from edge.events import FinishEvent, FinishReason, ReasoningEvent, Statistics, TextEvent
from edge.generate.answer import AnswerReader, ThinkingBudget
from edge.generate.step import Generation
from edge.model.types import VisionOutput


class Turn:
    """One answer from its first chunk to its finish event. The caller's time between events counts as decoding."""

    def __init__(
        self,
        generation: Generation,
        reader: AnswerReader,
        *,
        budget: ThinkingBudget,
        max_tokens: int,
        cancel: threading.Event,
    ) -> None:
        self._generation = generation
        self._reader = reader
        self._budget = budget
        self._max_tokens = max_tokens
        self._cancel = cancel
        self._kept_tokens = generation.num_cached
        self._reason: FinishReason = "cancelled"
        self._started_s = 0.0
        self._first_token_s = 0.0

    def prefill(self, outputs: Mapping[int, VisionOutput], *, chunk_tokens: int) -> None:
        """Compute the prompt; stops before it and between chunks when cancelled."""
        self._started_s = self._first_token_s = time.perf_counter()
        if self._cancel.is_set():
            return
        for _ in self._generation.prefill(outputs, chunk_tokens=chunk_tokens):
            if self._cancel.is_set():
                return

    def decode(self) -> Iterator[TextEvent | ReasoningEvent]:
        """Generate until an end token, a stop string, the last token or a cancel."""
        generation, reader = self._generation, self._reader
        while not self._cancel.is_set():
            forced = self._budget.next_forced(reader)
            if forced is not None:
                generation.force(forced)
            is_last = len(generation.token_ids) + 1 >= self._max_tokens
            token_id = generation.next_token(is_last=is_last)
            if len(generation.token_ids) == 1:
                self._first_token_s = time.perf_counter()
            yield from reader.feed(token_id)
            if reader.is_stopped or is_last:
                self._reason = "length"
                break
        yield from reader.finish()
        if reader.is_stopped:
            self._reason = "stop"

    def finish(self, *, vision_runs: int, prompt_s: float, vision_s: float) -> FinishEvent:
        """Say how the answer ended, with statistics."""
        generation = self._generation
        statistics = Statistics(
            prompt_tokens=generation.prompt_tokens,
            kept_tokens=self._kept_tokens,
            answer_tokens=len(generation.token_ids),
            reasoning_tokens=self._reader.reasoning_tokens,
            vision_runs=vision_runs,
            prompt_s=prompt_s,
            vision_s=vision_s,
            prefill_s=self._first_token_s - self._started_s,
            decode_s=time.perf_counter() - self._first_token_s,
            peak_bytes=int(mx.get_peak_memory()),
        )
        return FinishEvent(self._reason, self._reader.stop, statistics)
