"""One request in the making: what it has computed, what it has said, and what comes next.

A row owns its keys and values, its sampler, its reader and its counts, so rows cannot disturb each other. The loop
runs the model; the row keeps the books. `memory` always holds exactly the first `num_cached` tokens of prompt and
answer, between any two turns of the loop.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal

import mlx.core as mx
import numpy as np

from edge.events import Event, FinishEvent, FinishReason, NoteEvent, TextEvent, TokenEvent, ToolCallDeltaEvent, Usage
from edge.kv.layer import RowMemory
from edge.kv.prefix import PrefixKey
from edge.model.types import VisionOutput
from edge.records import dataclass
from edge.run.job import Job
from edge.run.lookup import NO_GUESS, Guess
from edge.run.plan import Plan
from edge.run.sample import Sampler, TokenLogprobs, logprobs_of
from edge.run.speculate import Guesser
from edge.run.thought import ROOM_TOKENS, Thought
from edge.text.answer import AnswerReader
from edge.text.repetition import LoopGuard

Stage = Literal["see", "prefill", "decode", "done"]


@dataclass(slots=True)
class Step:
    """A token (1,) int32 that was chosen and not read yet, with its logprobs if they were asked for.

    Attributes:
        token: On the device, perhaps not evaluated.
        logprobs: Of this token and the most likely ones; None for a forced token.
        token_id: The token once it was read from the device.
        is_counted: Whether the sampler has counted it for its penalties.
        is_settled: Whether it was found that no other token must come in its place.
    """

    token: mx.array
    logprobs: TokenLogprobs | None = None
    token_id: int | None = None
    is_counted: bool = False
    is_settled: bool = False

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

    def __init__(
        self,
        job: Job,
        plan: Plan,
        *,
        sampler: Sampler,
        reader: AnswerReader,
        thought: Thought | None,
        end_token_ids: frozenset[int],
        guesser: Guesser | None = None,
    ) -> None:
        """Start a planned job; `thought` is None where the prompt opens none, `guesser` where nothing is guessed."""
        self.job = job
        self.plan = plan
        self.memory: RowMemory = plan.memory
        self.num_cached = plan.cached_tokens
        self.token_ids: list[int] = []
        self.outputs: dict[int, VisionOutput] = {}
        self.unseen = list(plan.unseen)
        self.vision_runs = 0
        self.pending: Step | None = None
        self.guesser = guesser
        self.guess = NO_GUESS
        self.sampler = sampler
        self.reader = reader
        self.reserved_tokens = plan.reserved_tokens
        self.max_tokens = plan.max_tokens
        self.clock = _Clock(time.perf_counter())
        self._thought = thought
        self._end_token_ids = end_token_ids
        self._forced: list[int] = []
        self._has_spoken = False
        # After an empty thought in the prompt the answer may not be empty too; see `_rules_speech` for other thoughts.
        is_ruled = job.constraint is not None or not end_token_ids or job.request.answer_tokens == 0
        self._must_speak = job.prompt.skips_reasoning and not is_ruled
        self._guard = LoopGuard() if job.request.loop_guard else None
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
    def pending_id(self) -> int | None:
        """The pending token, if it was read from the device."""
        return None if self.pending is None else self.pending.token_id

    @property
    def guess_room(self) -> int:
        """Tokens that may be guessed after the pending one: reserved ones, with one to be chosen after the last."""
        if self._forced or (self._thought is not None and self._thought.is_closing):
            return 0
        return min(self.max_tokens - len(self.token_ids) - 2, self.reserved_tokens - self.num_cached - 1)

    @property
    def waits_for_token(self) -> bool:
        """Whether the next token cannot be chosen before the pending one was read."""
        return self.job.constraint is not None or self._must_speak

    @property
    def is_full(self) -> bool:
        """Whether the reserved memory is used up."""
        return self.num_cached >= self.reserved_tokens

    @property
    def wants_room(self) -> bool:
        """Whether memory for more tokens is needed now; a thought asks while there is room for an answer."""
        if self._thought is None or not self.reader.is_reasoning or not self._thought.keeps_answer:
            return self.is_full
        is_open = self.reserved_tokens < self.prompt_tokens + self.max_tokens
        return self.num_cached + (ROOM_TOKENS if is_open else 0) >= self.reserved_tokens

    @property
    def key(self) -> PrefixKey:
        """What the tokens in `memory` are."""
        whole = self.job.key.extended(self.token_ids, next_position=self.job.prompt.next_position)
        return whole.first(self.num_cached)

    def force(self) -> None:
        """Put the token that must come next, if there is one, in place of the pending one, which nothing has used."""
        if self.pending is not None and self.pending.is_settled:
            return
        forced = self._forced.pop(0) if self._forced else None
        if forced is None and self._thought is not None:
            forced = self._thought.next_forced(self.reader)
            self._must_speak = self._must_speak or (forced is not None and self._rules_speech)
        if forced is not None:
            self.pending = Step(mx.array([forced], dtype=mx.int32), token_id=forced)
        if self.pending is not None:
            self.pending.is_settled = True

    def close_thought(self, note: str) -> bool:
        """Close an open thought with the next token; False if there is none, or if that has begun."""
        return self._thought is not None and self.reader.is_reasoning and self._thought.close(note)

    def choose(self, logits: mx.array) -> Step:
        """Sample the token after the pending one from logits (V,), under the constraint once the thought is over."""
        allowed = None
        if self.job.constraint is not None and not self.reader.is_reasoning:
            allowed = mx.array(self.job.constraint.allowed())
        elif self._must_speak:
            allowed = ~mx.any(mx.arange(logits.shape[-1])[:, None] == mx.array(sorted(self._end_token_ids)), axis=1)
        return self.step_of(self.sampler.sample(logits, allowed=allowed), logits)

    def step_of(self, token: mx.array, logits: mx.array) -> Step:
        """Put a chosen token (1,) and what was asked about it together."""
        top = self.job.request.top_logprobs
        return Step(token, None if top is None else logprobs_of(logits, token, top=top))

    def read_pending(self) -> int:
        """Wait for the pending token; nothing is done with it yet."""
        pending = self.pending
        assert pending is not None, "a row in the decode stage has a pending token"
        if pending.token_id is None:
            pending.token_id = int(np.array(pending.token)[0])  # the one wait for the device in a step
        return pending.token_id

    def cut_guess(self, guess: Guess) -> Guess:
        """Leave out what cannot come after the pending token: anything after an end, what the constraint forbids."""
        token_ids, constraint = guess.token_ids, self.job.constraint
        if self.pending_id in self._end_token_ids:
            return NO_GUESS
        if constraint is not None and not self.reader.is_reasoning:
            token_ids = token_ids[: max(0, constraint.count_allowed((self.read_pending(), *token_ids)) - 1)]
        return Guess(token_ids, guess.matched) if token_ids else NO_GUESS

    def note_guess(self, num_right: int) -> None:
        """Forget the guesses that were wrong and what was computed for them."""
        if self.guesser is not None and self.guess.token_ids:
            self.guesser.note(self.guess, num_right)
        self.guess = NO_GUESS
        self._drop_unread()

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
        if self._is_silent_end(token_id):
            self._take_back()
            return []
        self.token_ids.append(token_id)
        constraint = self.job.constraint
        if constraint is not None and not was_reasoning:
            constraint.accept(token_id)
        events: list[Event] = []
        if self.job.request.wants_tokens:
            events.append(_token_event(token_id, was_reasoning, step.logprobs))
        pieces = self.reader.feed(token_id)
        self._note_speech(pieces, thought_ended=was_reasoning and not self.reader.is_reasoning)
        events += pieces
        if self._thought is not None and (note := self._thought.take_note()):
            events.append(NoteEvent(note))
        is_whole = constraint is not None and not self.reader.is_reasoning and constraint.is_finished
        if self.reader.is_stopped or is_whole:
            self._reason = "stop"
        elif (note := self._find_loop(token_id)) is not None:
            events.append(NoteEvent(note))
        elif len(self.token_ids) >= self.max_tokens:
            self._reason = "length"
        return events

    def finish(self, reason: FinishReason | None = None) -> list[Event]:
        """End the row; return what was held back and the finish event.

        Args:
            reason: Why, when it is not the answer's own end.
        """
        reason = reason or self._reason or "stop"
        events: list[Event] = [*self.reader.finish(is_cut=reason != "stop")]
        self._reason = "stop" if self.reader.is_stopped else reason
        if self._reason == "stop" and self.reader.num_calls:
            self._reason = "tool_calls"
        return [*events, FinishEvent(self._reason, self.reader.stop, self._usage())]

    def fail(self) -> None:
        """End the row without an answer."""
        self._reason = "cancelled"

    @property
    def _rules_speech(self) -> bool:
        """Whether the answer may not end before its first word: one has to follow the thought."""
        is_ruled = self.job.constraint is None and bool(self._end_token_ids)
        return is_ruled and self._thought is not None and self._thought.keeps_answer

    def _note_speech(self, pieces: Sequence[Event], *, thought_ended: bool) -> None:
        if not self._has_spoken:
            self._has_spoken = any(
                isinstance(piece, ToolCallDeltaEvent) or (isinstance(piece, TextEvent) and not piece.text.isspace())
                for piece in pieces
            )
        self._must_speak = (self._must_speak or (thought_ended and self._rules_speech)) and not self._has_spoken

    def _is_silent_end(self, token_id: int) -> bool:
        """Tell whether the model would end its turn after the thought without a word, with tokens left for one."""
        if self._thought is None or not self._thought.keeps_answer or self._has_spoken or self.is_last:
            return False
        is_ruled = self.job.constraint is not None and not self.reader.is_reasoning
        return token_id in self._end_token_ids and not is_ruled

    def _take_back(self) -> None:
        """Drop the end token that was read, computed or not, and go on: out of the thought, or into the answer."""
        self._drop_unread()
        if not self.close_thought("The model would have ended inside its thought; it was closed for an answer."):
            assert self._thought is not None, "only a thought is followed by a silent end"
            self._forced = list(self._thought.gap_token_ids)  # the next choice leaves end tokens out

    def _drop_unread(self) -> None:
        """Cut the memory to the tokens that were read."""
        extra = self.num_cached - self.prompt_tokens - len(self.token_ids)
        if extra > 0:
            for layer in self.memory:
                layer.trim(extra)
            self.num_cached -= extra

    def _find_loop(self, token_id: int) -> str | None:
        """Notice that the tail repeats itself: close the thought or end the answer, and say so."""
        if self._guard is None or not self._guard.feed(token_id):
            return None
        period = self._guard.period
        if self.reader.is_reasoning:
            self.close_thought(f"The thought repeated itself every {period} tokens and was closed.")
            self._guard = LoopGuard()
            return None
        if self.job.constraint is not None and self.job.constraint.is_dictating:
            return None  # the rules want it so
        self._reason = "repetition"
        return f"The answer repeated itself every {period} tokens and was ended."

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
            guessed_tokens=0 if self.guesser is None else self.guesser.num_guessed,
            accepted_tokens=0 if self.guesser is None else self.guesser.num_right,
        )


def _token_event(token_id: int, is_reasoning: bool, logprobs: TokenLogprobs | None) -> TokenEvent:
    if logprobs is None:
        return TokenEvent(token_id, is_reasoning)
    top = zip(np.array(logprobs.top_ids).tolist(), np.array(logprobs.top).tolist(), strict=True)
    return TokenEvent(token_id, is_reasoning, float(np.array(logprobs.chosen)[0]), tuple(top))
