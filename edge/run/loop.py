"""The loop of one model: each turn admits what fits, does one slice of vision or prefill, decodes a token of each row.

In: jobs. Out: their events. Everything here runs on the model thread (`edge.run.thread`); nothing waits for a reader.
A turn: cancelled rows end -> waiting jobs that fit become rows -> one early row goes one slice further -> one decode
step for all rows that are past their prompt. A failure ends its row and no other.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import mlx.core as mx

from edge.events import Event, FinishReason, NoteEvent, ProgressEvent, PromptEvent
from edge.kv.prefix import PrefixPool
from edge.kv.vision import VisionMemory
from edge.model.types import VisionOutput
from edge.records import dataclass
from edge.run.checked import Checked, read_checked
from edge.run.costs import StepCosts
from edge.run.flight import held_to
from edge.run.forward import DecoderModel, prefill_chunk
from edge.run.job import Job
from edge.run.lookup import NO_GUESS
from edge.run.memory_use import MemoryUse
from edge.run.plan import NO_PLAN, Plan, Planner
from edge.run.row import Row
from edge.run.see import Seeing, VisionModel
from edge.run.speculate import plan_guesses
from edge.run.step import Following, queue_step

if TYPE_CHECKING:
    from edge.kv.disk import PrefixStore

# MLX keeps freed buffers; over many steps of slowly growing sizes that adds up.
CLEAR_EVERY_STEPS = 256
SHARED_CHUNK_TOKENS = 256
"""Tokens of a prefill slice while other rows decode: a longer one would be felt as a pause in their answers."""


class Model(DecoderModel, VisionModel, Protocol):
    """What the loop needs from `edge.model.qwen3vl.Qwen3VL`."""


@dataclass(frozen=True, slots=True)
class LoopParts:
    """What a loop works with.

    Attributes:
        model: The model.
        num_blocks: Blocks of its vision tower.
        planner: Plans requests.
        kept: Finished turns.
        seen: Vision outputs.
        store: Finished turns on disk; None keeps none there.
        make_row: Makes the row of a planned job.
        max_rows: Most rows at a time.
    """

    model: Model
    num_blocks: int
    planner: Planner
    kept: PrefixPool
    seen: VisionMemory
    store: PrefixStore | None
    make_row: Callable[[Job, Plan], Row]
    max_rows: int


class Loop:
    """All requests of one model."""

    def __init__(self, parts: LoopParts) -> None:
        self._parts = parts
        self._waiting: deque[Job] = deque()
        self._rows: list[Row] = []
        self._early: deque[Row] = deque()
        self._seeing: dict[Row, Seeing] = {}
        self._num_steps = 0
        self.costs = StepCosts()
        self.vision_runs = 0

    @property
    def has_work(self) -> bool:
        """Whether a turn would do something."""
        return bool(self._waiting or self._rows)

    @property
    def num_rows(self) -> int:
        """Rows that run."""
        return len(self._rows)

    @property
    def num_waiting(self) -> int:
        """Jobs that wait for room."""
        return len(self._waiting)

    @property
    def model(self) -> Model:
        """The model as the loop calls it."""
        return self._parts.model

    def add(self, job: Job) -> None:
        """Take a job; it starts in one of the next turns."""
        self._waiting.append(job)

    def turn(self) -> None:
        """Do one bounded piece of everything there is to do."""
        for row in [row for row in self._rows if row.job.is_cancelled]:
            self._end(row, "cancelled")
        self._admit()
        if self._early:
            self.costs.disturb()
            self._advance(self._next_early())
        self._decode([row for row in self._rows if row.stage == "decode"])

    def memory_use(self) -> MemoryUse:
        """Tell what memory is used for."""
        return self._parts.planner.memory_use(self._rows)

    def save_kept(self) -> None:
        """Write the finished turns that are kept to disk, if there is a folder for them."""
        if self._parts.store is not None:
            for key, memory in self._parts.kept.entries:
                self._parts.store.save(key, memory)

    def forget_kept(self) -> None:
        """Delete finished turns and vision results, in memory and on disk."""
        self._parts.kept.drop_all()
        self._parts.seen.drop_all()
        if self._parts.store is not None:
            self._parts.store.delete_all()
        mx.clear_cache()

    def close(self) -> None:
        """End everything as cancelled, and write what is kept to disk."""
        for row in list(self._rows):
            self._end(row, "cancelled")
        for job in self._waiting:
            job.cancel.set()
        self._admit()
        self.save_kept()

    def fail_all(self, error: Exception) -> None:
        """End everything with an error, after a fault of the loop itself."""
        for row in list(self._rows):
            self._fail(row, error)
        for job in self._waiting:
            self._tell(job, [error])
        self._waiting.clear()

    # Admission ------------------------------------------------------------------------------------------------------

    def _admit(self) -> None:
        """Turn waiting jobs into rows, the oldest first; one that has to wait holds back those behind it."""
        for job in [job for job in self._waiting if job.is_cancelled]:
            self._waiting.remove(job)
            self._start(job)
        while self._waiting and len(self._rows) < self._parts.max_rows:
            if not self._start(self._waiting[0]):
                break
            self._waiting.popleft()
        for place, job in enumerate(self._waiting):
            if job.place != place:
                job.place = place
                self._tell(job, [ProgressEvent("queued", 0, place + 1)])

    def _start(self, job: Job) -> bool:
        """Plan a job and make its row; False when it has to wait. A job that cannot run gets its error."""
        if not self._rows:
            mx.reset_peak_memory()
        try:
            plan = NO_PLAN if job.is_cancelled else self._parts.planner.plan(job, self._rows)
            if plan is None:
                return False
            row = self._parts.make_row(job, plan)
        except Exception as error:  # the border of one request: whatever it is, it is this request's
            self._tell(job, [error])
            return True
        self._rows.append(row)
        media = self._parts.planner.media_uses(job.prompt, start=plan.cached_tokens)
        prompt = PromptEvent(row.prompt_tokens, plan.cached_tokens, media, job.prompt.hints)
        if self._tell_row(row, [prompt]):
            if job.is_cancelled:
                self._end(row, "cancelled")
            else:
                self._early.append(row)
        return True

    # Vision and prefill ---------------------------------------------------------------------------------------------

    def _next_early(self) -> Row:
        """Take turns between early rows; one picture is seen at a time, so that equal ones are seen once."""
        for _ in range(len(self._early)):
            row = self._early[0]
            self._early.rotate(-1)
            if row.stage != "see" or row in self._seeing or not self._seeing:
                break
        return row

    def _advance(self, row: Row) -> None:
        started = time.perf_counter()
        try:
            with held_to(row.plan.work_bytes):
                if row.stage == "see":
                    self._see(row)
                    row.clock.vision_s += time.perf_counter() - started
                else:
                    self._prefill(row)
                    row.clock.prefill_s += time.perf_counter() - started
        except Exception as error:  # the border of one request
            self._fail(row, error)

    def _see(self, row: Row) -> None:
        """Run the tower a slice further, or take what it gave before."""
        index = row.unseen[0]
        media = row.job.prompt.media[index]
        output = self._parts.seen.find(media.vision_digest)
        if output is None:
            seeing = self._seeing.get(row)
            if seeing is None:
                seeing = self._seeing[row] = Seeing(self._parts.model, media, num_blocks=self._parts.num_blocks)
            output = seeing.advance()
            # After the last block one more slice makes the output; only then is all of it done.
            is_merging = output is None and seeing.num_done == self._parts.num_blocks
            if not is_merging:
                self._tell_vision(row, seeing)
            if output is None:
                return
            self._seeing.pop(row, None)
            self._parts.seen.keep(media.vision_digest, output)
            row.vision_runs += 1
            self.vision_runs += 1
        self._give(row, index, output)

    def _give(self, row: Row, index: int, output: VisionOutput) -> None:
        row.outputs[index] = output
        row.unseen.remove(index)

    def _tell_vision(self, row: Row, seeing: Seeing) -> None:
        blocks = self._parts.num_blocks
        total = blocks * len(row.plan.unseen)
        seen_before = blocks * (len(row.plan.unseen) - len(row.unseen))
        self._tell_row(row, [ProgressEvent("vision", min(seen_before + seeing.num_done, total), total)])

    def _prefill(self, row: Row) -> None:
        """Compute the next chunk of a prompt; after the last, its first token is queued."""
        length, start = row.prompt_tokens, row.num_cached
        chunk = row.plan.chunk_tokens
        if len(self._rows) > 1:
            chunk = min(chunk, SHARED_CHUNK_TOKENS)
        stop = min(start + chunk, length)
        logits = prefill_chunk(
            self._parts.model, row.job.prompt, row.memory, start=start, stop=stop, outputs=row.outputs
        )
        row.num_cached = stop
        if stop < length:
            # Only the memories are computed: nobody asks for the logits of an inner chunk.
            mx.eval([array for layer in row.memory for array in layer.state])
            mx.clear_cache()
        else:
            row.pending = row.choose(logits)
            mx.eval(row.pending.arrays)
            row.outputs.clear()
            self._early.remove(row)
        self._tell_row(row, [ProgressEvent("prefill", stop - row.plan.cached_tokens, length - row.plan.cached_tokens)])

    # Decoding -------------------------------------------------------------------------------------------------------

    def _decode(self, rows: Sequence[Row]) -> None:
        """Queue the step after the pending tokens of all rows, then read these tokens."""
        for row in rows:
            row.force()
        going = [row for row in rows if not row.is_last]
        plan_guesses(going, self.costs)
        guessing = [row for row in going if row.guess.token_ids]
        num_guessed = sum(len(row.guess.token_ids) for row in guessing)
        self.costs.start()
        steps: dict[Row, Following] = {}
        if going:
            try:
                steps = queue_step(self._parts.model, going)
            except Exception:  # which row it was is found out by running each alone
                steps = self._queue_alone(going)
        num_read = -sum(len(row.token_ids) + 1 for row in guessing)
        for row in sorted(rows, key=guessing.__contains__):  # a row that guesses waits for this step, not the last
            if row.stage == "decode":
                self._read(row, steps.get(row))
        num_read += sum(len(row.token_ids) for row in guessing)
        self.costs.end(len(going), num_guessed, num_read)
        self._num_steps += 1
        if self._num_steps % CLEAR_EVERY_STEPS == 0:
            mx.clear_cache()

    def _queue_alone(self, rows: Sequence[Row]) -> dict[Row, Following]:
        """Take back a step that failed and run each row by itself; those that fail again end."""
        for row in rows:
            row.guess = NO_GUESS
            row.num_cached = row.prompt_tokens + len(row.token_ids)
            for layer in row.memory:
                layer.trim(max(0, layer.num_tokens - row.num_cached))
        steps: dict[Row, Following] = {}
        for row in rows:
            try:
                steps |= queue_step(self._parts.model, [row])
            except Exception as error:  # the border of one request
                self._fail(row, error)
        return steps

    def _read(self, row: Row, following: Following | None) -> None:
        """Read a row's pending token, tell what it says, and put the following one in its place."""
        pending = row.pending
        assert pending is not None, "a row in the decode stage has a pending token"
        try:
            events = row.read(row.read_pending(), pending)
            if row.stage != "done" and isinstance(following, Checked):
                events += read_checked(row, following)
            if row.stage == "done":
                row.note_guess(0)
                self._end(row, None, events)
                return
            if isinstance(following, mx.array):
                following = row.choose(following)
                mx.async_eval(following.arrays)
            if not isinstance(following, Checked):
                row.pending = following
        except Exception as error:  # the border of one request
            self._fail(row, error)
            return
        is_full = self._tell_row(row, events) and row.wants_room
        if not is_full or self._parts.planner.grow(row, self._rows):
            return
        if not row.close_thought("The thought was closed: memory for more tokens is used up.") and row.is_full:
            self._end(row, "length", [NoteEvent("The answer ends here: memory for more tokens is used up.")])

    # Ends -----------------------------------------------------------------------------------------------------------

    def _end(self, row: Row, reason: FinishReason | None, events: Sequence[Event] = ()) -> None:
        """End a row, keep what it computed, and tell the rest."""
        try:
            rest = row.finish(reason)
            if row.num_cached:
                self._parts.kept.keep(row.key, row.memory)
        except Exception as error:  # the border of one request
            self._fail(row, error)
            return
        self._forget(row)
        self._tell(row.job, [*events, *rest])

    def _fail(self, row: Row, error: Exception) -> None:
        """End a row with an error; what it computed may be broken and is not kept."""
        self._forget(row)
        row.fail()
        self._tell(row.job, [error])

    def _forget(self, row: Row) -> None:
        self._seeing.pop(row, None)
        if row in self._early:
            self._early.remove(row)
        if row in self._rows:
            self._rows.remove(row)

    def _tell_row(self, row: Row, events: Sequence[Event]) -> bool:
        """Send events; a row whose outlet fails ends, False."""
        if self._tell(row.job, events):
            return True
        self._forget(row)
        row.fail()
        return False

    def _tell(self, job: Job, events: Sequence[Event | Exception]) -> bool:
        """Send events or an error; False if the outlet fails, which is nobody else's fault."""
        try:
            for event in events:
                job.emit(event)
        except Exception:  # the caller's outlet is gone: nobody listens to an error either
            job.cancel.set()
            return False
        return True
