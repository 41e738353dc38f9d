"""Plan a request once: what it shares, what has to be seen, what it may use.

In: a job, the rows that run, what is kept. Out: a `Plan`; None when it fits only after others have ended; a
`MemoryPlanError` when it can never fit. Reserved bytes that are not filled yet count as used for everybody else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import mlx.core as mx

from edge.config import ModelConfig
from edge.events import MediaUse
from edge.kv.layer import RowMemory
from edge.kv.make import KvBits, bytes_per_token, make_memory
from edge.kv.prefix import PrefixKey, PrefixPool, row_bytes
from edge.kv.vision import VisionMemory
from edge.memory import (
    ANSWER_TOKENS,
    SPARE_BYTES,
    MemoryPlan,
    Precision,
    available_bytes,
    choose_chunk_tokens,
    plan_request,
)
from edge.prompt.build import Prompt
from edge.records import dataclass
from edge.run.job import Job
from edge.run.memory_use import MemoryUse

if TYPE_CHECKING:
    from edge.kv.disk import PrefixStore

Need = Callable[[int, int], MemoryPlan]  # of new tokens, with so many bytes free

GROWTH_TOKENS = 256
"""An answer of unknown length is reserved in steps of this many tokens."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one request will do.

    Attributes:
        memory: Its own memory, with the shared prefix in it.
        cached_tokens: Tokens of the prefix.
        unseen: Indexes of the media with tokens past the prefix, in order.
        chunk_tokens: Most tokens of one prefill forward.
        reserved_tokens: Tokens of prompt and answer whose keys and values are reserved.
        max_tokens: Most tokens that may be generated.
        work_bytes: What it takes at most before its first token, keys and values included.
    """

    memory: RowMemory
    cached_tokens: int
    unseen: tuple[int, ...]
    chunk_tokens: int
    reserved_tokens: int
    max_tokens: int
    work_bytes: int


NO_PLAN = Plan(memory=(), cached_tokens=0, unseen=(), chunk_tokens=1, reserved_tokens=0, max_tokens=1, work_bytes=0)
"""Of a request that was cancelled before its turn came: it does nothing, so it needs no room either."""


class Holder(Protocol):
    """A running row, as far as planning goes."""

    memory: RowMemory
    reserved_tokens: int

    @property
    def key(self) -> PrefixKey:
        """What its memory holds."""
        ...


class Planner:
    """Plans requests for one model; used on the model thread.

    Attributes:
        token_bytes: Keys and values of one token.
        last: The plan of the last request that was admitted.
    """

    def __init__(
        self,
        config: ModelConfig,
        *,
        precision: Precision,
        kv_bits: KvBits | None,
        context_tokens: int,
        chunk_tokens: int | None,
        weight_bytes: int,
        kept: PrefixPool,
        seen: VisionMemory,
        store: PrefixStore | None = None,
        more_token_bytes: int = 0,
    ) -> None:
        """Take the model's sizes and what is kept beside it.

        Args:
            config: The model's sizes.
            precision: Of activations.
            kv_bits: How keys and values are stored.
            context_tokens: Most tokens of prompt and answer together.
            chunk_tokens: Tokens of a prefill forward; None chooses by memory.
            weight_bytes: Of the weights in memory.
            kept: Finished turns in memory.
            seen: Vision outputs.
            store: Finished turns on disk.
            more_token_bytes: What a draft remembers of each token beside.
        """
        self._config = config
        self._precision = precision
        self._kv_bits = kv_bits
        self._context_tokens = context_tokens
        self._chunk_tokens = chunk_tokens
        self._weight_bytes = weight_bytes
        self._kept = kept
        self._seen = seen
        self._store = store
        self.last: MemoryPlan | None = None
        self.token_bytes = bytes_per_token(config.text, kv_bits=kv_bits, itemsize=precision.itemsize)
        self.token_bytes += more_token_bytes

    def plan(self, job: Job, rows: Sequence[Holder]) -> Plan | None:
        """Plan a request beside the rows that run.

        Returns:
            None when it has to wait until a row ends.

        Raises:
            MemoryPlanError: It does not fit even alone; the message says what would.
        """
        request, length = job.request, len(job.prompt.token_ids)
        memory, cached = self._shared(job.key, rows)
        answer_tokens = min(request.max_tokens or ANSWER_TOKENS, max(1, self._context_tokens - length))
        context = length + answer_tokens

        chunk_tokens = self._chunk_tokens or choose_chunk_tokens(
            self._config.text, precision=self._precision, context_tokens=context, kv_bits=self._kv_bits
        )

        def need(new_tokens: int, free: int) -> MemoryPlan:
            return plan_request(
                self._config,
                precision=self._precision,
                token_bytes=self.token_bytes,
                new_tokens=new_tokens,
                context_tokens=context,
                unseen=[job.prompt.media[index].grid_thw for index in self._not_seen(job.prompt, cached)],
                available=free,
                kv_bits=self._kv_bits,
                chunk_tokens=chunk_tokens,
            )

        plan = self._fit(need, rows=rows, context_tokens=context, cached_tokens=cached)
        if plan is None:
            return None
        self.last = plan
        self._bound_spare(plan.available_bytes - plan.needed_bytes)
        return Plan(
            memory=memory,
            cached_tokens=cached,
            unseen=tuple(needed_media(job.prompt, start=cached)),
            chunk_tokens=chunk_tokens,
            reserved_tokens=context,
            max_tokens=min(request.max_tokens or self._context_tokens, max(1, self._context_tokens - length)),
            work_bytes=plan.needed_bytes,
        )

    def grow(self, row: Holder, rows: Sequence[Holder]) -> bool:
        """Reserve room for more of an answer of unknown length; False when there is none."""
        wanted = GROWTH_TOKENS * self.token_bytes
        if self._free(rows) < wanted:
            self._kept.drop_all()
            mx.clear_cache()
            if self._free(rows) < wanted:
                return False
        row.reserved_tokens += GROWTH_TOKENS
        self._bound_spare(self._free(rows))
        return True

    def memory_use(self, rows: Sequence[Holder]) -> MemoryUse:
        """Tell what memory is used for beside the rows that run."""
        return MemoryUse(
            weight_bytes=self._weight_bytes,
            running_bytes=sum(row_bytes(row.memory) for row in rows),
            reserved_bytes=self._held(rows),
            kept_bytes=self._kept.nbytes,
            vision_bytes=self._seen.nbytes,
            active_bytes=int(mx.get_active_memory()),
            spare_bytes=int(mx.get_cache_memory()),
            peak_bytes=int(mx.get_peak_memory()),
            free_bytes=max(0, self._free(rows)),
            plan=self.last,
        )

    def media_uses(self, prompt: Prompt, *, start: int) -> tuple[MediaUse, ...]:
        """Say what became of each picture and video of a prompt, and which the tower has to see."""
        unseen = set(self._not_seen(prompt, start))
        return tuple(
            MediaUse(
                kind=media.kind,
                num_tokens=media.num_tokens,
                source_size=media.source_size,
                resized_size=media.resized_size,
                summary=media.summary,
                is_shrunk=media.is_shrunk,
                is_cached=index not in unseen,
            )
            for index, media in enumerate(prompt.media)
        )

    def _shared(self, key: PrefixKey, rows: Sequence[Holder]) -> tuple[RowMemory, int]:
        """Find the longest prefix among kept turns, running rows and the disk; a new memory without one."""
        found: tuple[RowMemory, int] | None = self._kept.find(key, running=[(row.key, row.memory) for row in rows])
        if self._store is not None:
            found = self._store.find(key, longer_than=found[1] if found else 0) or found
        return found or (make_memory(self._config.text, kv_bits=self._kv_bits), 0)

    def _fit(self, need: Need, *, rows: Sequence[Holder], context_tokens: int, cached_tokens: int) -> MemoryPlan | None:
        """Plan with what is free, else without what is kept; None when rows have to end first."""
        # A fork copies what it shares with its first write, so shared tokens count too.
        plan = need(context_tokens, self._free(rows))
        if plan.fits:
            return plan
        self._kept.drop_all()
        mx.clear_cache()
        # Nobody else holds the prefix now, except rows that run.
        tokens = context_tokens if rows else context_tokens - cached_tokens
        plan = need(tokens, self._free(rows))
        if not plan.fits:
            if rows and need(tokens, self._free(rows) + self._held(rows)).fits:
                return None
            plan.refuse()
        return plan

    def _not_seen(self, prompt: Prompt, start: int) -> list[int]:
        return [i for i in needed_media(prompt, start=start) if self._seen.find(prompt.media[i].vision_digest) is None]

    def _bound_spare(self, left: int) -> None:
        """Let MLX keep freed buffers of no more than what the budget leaves: they are used memory like any other."""
        mx.set_cache_limit(max(0, min(SPARE_BYTES, left)))

    def _free(self, rows: Sequence[Holder]) -> int:
        """Bytes for new work: free ones and MLX's spare buffers, less what rows have reserved and not filled."""
        promised = sum(max(0, row.reserved_tokens * self.token_bytes - row_bytes(row.memory)) for row in rows)
        return available_bytes() + int(mx.get_cache_memory()) - promised

    def _held(self, rows: Sequence[Holder]) -> int:
        return sum(max(row.reserved_tokens * self.token_bytes, row_bytes(row.memory)) for row in rows)


def needed_media(prompt: Prompt, *, start: int) -> list[int]:
    """List the media with tokens past a kept prefix, in the order of the prompt."""
    return sorted({span.media_index for span in prompt.spans if span.end > start})
