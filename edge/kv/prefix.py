"""Find the longest beginning of a prompt whose keys and values exist: in kept conversations, in running rows.

In: the ids, positions and media spans of a prompt. Out: memories forked from the best source and cut to the shared
beginning. A source is forked, never taken: nobody's request costs a conversation its keys and values, and any number
of continuations of one turn reuse all of it. Two prompts share a beginning only where token ids, positions and media
digests are all equal, and it never ends inside a span: the same question about another picture of the same size
shares nothing from that picture on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import mlx.core as mx
import numpy as np

from edge.kv.layer import LayerMemory, RowMemory
from edge.records import dataclass

MIN_SHARED_TOKENS = 16
"""Fewer tokens are computed again: they ride in the prefill that follows anyway, at no cost that shows, and every two
prompts share the template's first three or four."""


@dataclass(frozen=True, slots=True)
class SpanKey:
    """Where visual tokens lie in a prompt and what they show."""

    start: int
    length: int
    digest: str
    media_offset: int

    @property
    def end(self) -> int:
        """Index of the first token after the span."""
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class PrefixKey:
    """What the tokens of a prompt (or of a prompt and its answer) are: ids (L,), positions (3, L), sorted spans."""

    token_ids: np.ndarray
    positions: np.ndarray
    spans: tuple[SpanKey, ...]

    def extended(self, token_ids: Sequence[int], *, next_position: int) -> PrefixKey:
        """Append generated tokens, which have text positions from `next_position` on."""
        more = np.asarray(token_ids, dtype=np.int32)
        positions = np.broadcast_to(next_position + np.arange(len(more), dtype=np.int32), (3, len(more)))
        return PrefixKey(
            np.concatenate([self.token_ids, more]), np.concatenate([self.positions, positions], axis=1), self.spans
        )

    def first(self, num_tokens: int) -> PrefixKey:
        """Return the key of the first tokens; a span that begins inside stays whole, so it matches nothing."""
        spans = tuple(span for span in self.spans if span.start < num_tokens)
        return PrefixKey(self.token_ids[:num_tokens], self.positions[:, :num_tokens], spans)


def shared_tokens(kept: PrefixKey, wanted: PrefixKey) -> int:
    """Count the leading tokens of `wanted` whose keys and values `kept` holds.

    Returns:
        A number below the length of `wanted` (one token at least is left to compute), never inside a span.
    """
    return _common_tokens(kept, wanted, limit=len(wanted.token_ids) - 1)


class PrefixPool:
    """Finished turns, the least recently used first. For the thread that owns the model only: nothing here locks."""

    def __init__(self, *, max_bytes: int, max_entries: int) -> None:
        """Make an empty pool; the newest entry stays even when it alone is over `max_bytes`."""
        self._max_bytes = max_bytes
        self._max_entries = max_entries
        self._entries: list[tuple[PrefixKey, RowMemory]] = []

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def nbytes(self) -> int:
        """Bytes of keys and values held; what a fork still shares counts as held."""
        return sum(row_bytes(memories) for _, memories in self._entries)

    @property
    def entries(self) -> list[tuple[PrefixKey, RowMemory]]:
        """All that is kept, the least recently used first."""
        return list(self._entries)

    def digests(self) -> set[str]:
        """Return the digests of all media in kept turns."""
        return {span.digest for key, _ in self._entries for span in key.spans}

    def keep(self, key: PrefixKey, memories: RowMemory) -> None:
        """Keep the memories of a finished row, which are the pool's from now on.

        Entries that the new one continues go, and so do the least recently used ones over the limits. A turn that
        an entry holds already is not kept twice. A key longer than its memories, or cut inside a picture, is cut.
        """
        key, memories = whole(key, memories)
        for index, (other, _) in enumerate(self._entries):
            if holds(other, key):
                self._use(index)
                return
        self._entries = [entry for entry in self._entries if not holds(key, entry[0])]
        self._entries.append((key, memories))
        while len(self._entries) > 1 and (len(self._entries) > self._max_entries or self.nbytes > self._max_bytes):
            del self._entries[0]

    def find(
        self, wanted: PrefixKey, *, running: Iterable[tuple[PrefixKey, RowMemory]] = ()
    ) -> tuple[list[LayerMemory], int] | None:
        """Fork the memories that hold the longest beginning of a prompt.

        Args:
            wanted: The prompt.
            running: Rows at work with what their tokens are; they go on undisturbed.

        Returns:
            Memories cut to the shared beginning, and its length in tokens; None when too little is shared.
        """
        sources = [*self._entries, *running]
        found = [(shared_tokens(_held(key, memories), wanted), -index) for index, (key, memories) in enumerate(sources)]
        shared, index = max(found, default=(0, 0))
        if shared < MIN_SHARED_TOKENS:
            return None
        source = sources[-index][1]
        if -index < len(self._entries):
            self._use(-index)
        return fork_first(source, shared), shared

    def release(self, num_bytes: int) -> int:
        """Drop the least recently used entries until so many bytes are free; returns the bytes dropped.

        A fork made just before still holds what it shares: dropping its source then only saves the later copy.
        """
        dropped = 0
        while self._entries and dropped < num_bytes:
            dropped += row_bytes(self._entries.pop(0)[1])
        return dropped

    def drop_all(self) -> None:
        """Forget everything."""
        self._entries.clear()

    def _use(self, index: int) -> None:
        self._entries.append(self._entries.pop(index))


def row_bytes(memories: RowMemory) -> int:
    """Bytes of all layers of a row."""
    return sum(memory.nbytes for memory in memories)


def fork_first(memories: RowMemory, num_tokens: int) -> list[LayerMemory]:
    """Fork a row and cut the fork to its first tokens.

    The cut is evaluated: as long as it is pending it holds the source's buffers, which the source then has to copy.
    """
    forks = [memory.fork() for memory in memories]
    for fork in forks:
        fork.trim(fork.num_tokens - num_tokens)
    mx.eval([fork.state for fork in forks])
    return forks


def whole(key: PrefixKey, memories: RowMemory) -> tuple[PrefixKey, RowMemory]:
    """Cut both to the tokens that both have, and to the beginning of a picture that is not there whole."""
    num_tokens = len(_held(key, memories).token_ids)
    num_tokens = min((s.start for s in key.spans if s.start < num_tokens < s.end), default=num_tokens)
    for memory in memories:
        memory.trim(memory.num_tokens - num_tokens)
    return key.first(num_tokens), memories


def holds(long: PrefixKey, short: PrefixKey) -> bool:
    """Tell whether everything in `short` is the beginning of `long` too, or all of it."""
    num_tokens = len(short.token_ids)
    return len(long.token_ids) >= num_tokens and _common_tokens(long, short, limit=num_tokens) == num_tokens


def _held(key: PrefixKey, memories: RowMemory) -> PrefixKey:
    """Cut the key to the tokens whose keys and values the memories hold."""
    num_tokens = min((memory.num_tokens for memory in memories), default=0)
    return key if num_tokens >= len(key.token_ids) else key.first(num_tokens)


def _common_tokens(kept: PrefixKey, wanted: PrefixKey, *, limit: int) -> int:
    limit = max(0, min(len(kept.token_ids), limit))
    is_equal = (kept.token_ids[:limit] == wanted.token_ids[:limit]) & np.all(
        kept.positions[:, :limit] == wanted.positions[:, :limit], axis=0
    )
    shared = limit if bool(is_equal.all()) else int(np.argmin(is_equal))
    kept_spans = {span for span in kept.spans if span.start < shared}
    for span in sorted(kept_spans ^ {s for s in wanted.spans if s.start < shared}, key=lambda s: s.start):
        shared = min(shared, span.start)
    for span in wanted.spans:
        if span.start < shared < span.end:
            shared = span.start
    return shared
