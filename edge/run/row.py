"""One request in the making: what it has computed, what it has said, and what comes next.

A row owns its keys and values, its sampler, its reader and its counts, so rows cannot disturb each other. The loop
runs the model; the row keeps the books. `memory` always holds exactly the first `num_cached` tokens of prompt and
answer, between any two turns of the loop.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

import mlx.core as mx
import numpy as np

from edge.events import Event, FinishEvent, FinishReason, TokenEvent, Usage
from edge.kv.layer import RowMemory
from edge.kv.prefix import PrefixKey
from edge.model.types import VisionOutput
from edge.run.job import Job
from edge.run.plan import Plan
from edge.run.sample import Sampler, TokenLogprobs, logprobs_of
from edge.text.answer import AnswerReader
from edge.text.budget import ThinkingBudget

Stage = Literal["see", "prefill", "decode", "done"]


@dataclass(slots=True)
class Step:
    """A token (1,) int32 that was chosen and not read yet, with its logprobs if they were asked for.

    Attributes:
        token: On the device, perhaps not evaluated.
        logprobs: Of this token and the most likely ones; None for a forced token.
        is_counted: Whether the sampler has counted it for its penalties.
    """

    token: mx.array
    logprobs: TokenLogprobs | None = None
    is_counted: bool = False

    @property
    def arrays(self) -> list[mx.array]:
        """What has to be evaluated for it to be read."""
        return [self.token, *(self.logprobs or ())]


@dataclass(slots=True)
class _Clock:
    """Seconds of one request, by kind of work."""

    admitted_s: float
    vision_s: float = 0.0
    prefill_s: float = 0.0
    first_token_at: float | None = None


class Row:
    """A request that was admitted."""

    def __init__(self, job: Job, plan: Plan, *, sampler: Sampler, reader: AnswerReader, budget: ThinkingBudget) -> None:
        self.job = job
        self.plan = plan
        self.memory: RowMemory = plan.memory
        self.num_cached = plan.cached_tokens
        self.token_ids: list[int] = []
        self.outputs: dict[int, VisionOutput] = {}
        self.unseen = list(plan.unseen)
        self.vision_runs = 0
        self.pending: Step | None = None
        self.sampler = sampler
        self.reader = reader
        self.reserved_tokens = plan.reserved_tokens
        self.max_tokens = plan.max_tokens
        self.clock = _Clock(time.perf_counter())
        self._budget = budget
        self._reason: FinishReason | None = None

    @property
    def stage(self) -> Stage:
        """What the row waits for."""
        if self._reason is not None:
            return "done"
        if self.pending is not None:
            return "decode"
        return "see" if self.unseen else "prefill"

    @property
    def prompt_tokens(self) -> int:
        """Length of the prompt."""
        return len(self.job.prompt.token_ids)

    @property
    def next_position(self) -> int:
        """Rotary position of the pending token."""
        return self.job.prompt.next_position + self.num_cached - self.prompt_tokens

    @property
    def is_last(self) -> bool:
        """Whether the pending token is the last that may be generated."""
        return len(self.token_ids) + 1 >= self.max_tokens

    @property
    def waits_for_token(self) -> bool:
        """Whether the next token cannot be chosen before the pending one was read."""
        return self.job.constraint is not None

    @property
    def key(self) -> PrefixKey:
        """What the tokens in `memory` are."""
        whole = self.job.key.extended(self.token_ids, next_position=self.job.prompt.next_position)
        return whole.first(self.num_cached)

    def force(self) -> None:
        """Put the token that must come next, if there is one, in place of the pending one, which nothing has used."""
        forced = self._budget.next_forced(self.reader)
        if forced is not None:
            self.pending = Step(mx.array([forced], dtype=mx.int32))

    def choose(self, logits: mx.array) -> Step:
        """Sample the token after the pending one from logits (V,), under the constraint once the thought is over."""
        allowed = None
        if self.job.constraint is not None and not self.reader.is_reasoning:
            allowed = mx.array(self.job.constraint.allowed())
        return self.step_of(self.sampler.sample(logits, allowed=allowed), logits)

    def step_of(self, token: mx.array, logits: mx.array) -> Step:
        """Put a chosen token (1,) and what was asked about it together."""
        top = self.job.request.top_logprobs
        return Step(token, None if top is None else logprobs_of(logits, token, top=top))

    def count_pending(self) -> None:
        """Let the sampler count the pending token, once."""
        if self.pending is not None and not self.pending.is_counted:
            self.sampler.accept(self.pending.token)
            self.pending.is_counted = True

    def read(self, token_id: int, step: Step) -> list[Event]:
        """Take a token that was read from the device; `stage` is "done" afterwards if it was the last."""
        if self.clock.first_token_at is None:
            self.clock.first_token_at = time.perf_counter()
        was_reasoning = self.reader.is_reasoning
        self.token_ids.append(token_id)
        constraint = self.job.constraint
        if constraint is not None and not was_reasoning:
            constraint.accept(token_id)
        events: list[Event] = []
        if self.job.request.wants_tokens:
            events.append(_token_event(token_id, was_reasoning, step.logprobs))
        events += self.reader.feed(token_id)
        is_whole = constraint is not None and not self.reader.is_reasoning and constraint.is_finished
        if self.reader.is_stopped or is_whole:
            self._reason = "stop"
        elif len(self.token_ids) >= self.max_tokens:
            self._reason = "length"
        return events

    def finish(self, reason: FinishReason | None = None) -> list[Event]:
        """End the row; return what was held back and the finish event.

        Args:
            reason: Why, when it is not the answer's own end.
        """
        events: list[Event] = [*self.reader.finish()]
        if self.reader.is_stopped:
            reason = "stop"
        self._reason = reason or self._reason or "stop"
        if self._reason == "stop" and self.reader.num_calls:
            self._reason = "tool_calls"
        return [*events, FinishEvent(self._reason, self.reader.stop, self._usage())]

    def fail(self) -> None:
        """End the row without an answer."""
        self._reason = "cancelled"

    def _usage(self) -> Usage:
        now, clock, job = time.perf_counter(), self.clock, self.job
        first_at = clock.first_token_at or now
        return Usage(
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.plan.cached_tokens,
            completion_tokens=len(self.token_ids),
            reasoning_tokens=self.reader.reasoning_tokens,
            vision_runs=self.vision_runs,
            prompt_s=job.prompt_s,
            queue_s=max(0.0, clock.admitted_s - job.submitted_s - job.prompt_s),
            vision_s=clock.vision_s,
            prefill_s=clock.prefill_s,
            first_token_s=first_at - job.submitted_s,
            decode_s=now - first_at,
            peak_bytes=int(mx.get_peak_memory()),
        )


def _token_event(token_id: int, is_reasoning: bool, logprobs: TokenLogprobs | None) -> TokenEvent:
    if logprobs is None:
        return TokenEvent(token_id, is_reasoning)
    top = zip(np.array(logprobs.top_ids).tolist(), np.array(logprobs.top).tolist(), strict=True)
    return TokenEvent(token_id, is_reasoning, float(np.array(logprobs.chosen)[0]), tuple(top))
