"""Keep the keys and values of finished turns, and find the longest prefix a new prompt shares with one.

In: the ids, positions and media spans of a prompt. Out: a cache cut to the shared prefix. Two prompts share a
prefix only where token ids, positions and media digests are all equal, and a prefix never ends inside a span:
the same question about another picture of the same size shares nothing from that picture on (PEERS 4).

Planning (`shared_tokens`) is plain integers; keeping (`PrefixPool`) touches caches only through `KeptLayer`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

import numpy as np

# A kept cache is cut in place when the new prompt continues at least this share of it; otherwise it is copied,
# so that a short common system prompt does not cost another conversation its cache.
TAKE_SHARE = 0.5
# Below this a copy is not worth keeping two caches for.
MIN_SHARED_TOKENS = 16


class KeptLayer(Protocol):
    """What the pool needs from one layer's cache; `edge.cache.kv.KVCache` fits."""

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        ...

    def trim(self, num_tokens: int) -> int:
        """Drop the last `num_tokens` tokens; return how many were dropped."""
        ...

    def copy(self) -> Self:
        """Return a cache that goes on from here by itself."""
        ...


LayerT = TypeVar("LayerT", bound=KeptLayer)


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
    limit = min(len(kept.token_ids), len(wanted.token_ids) - 1)
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
    return max(shared, 0)


class PrefixPool(Generic[LayerT]):
    """Finished turns, newest last. A cache is in the pool or in one generation's hands, never both."""

    def __init__(self, *, max_bytes: int, max_entries: int) -> None:
        """Make an empty pool; the newest entry stays even when it alone is over `max_bytes`."""
        self._max_bytes = max_bytes
        self._max_entries = max_entries
        self._entries: list[tuple[PrefixKey, list[LayerT]]] = []

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def nbytes(self) -> int:
        """Bytes of keys and values held."""
        return sum(_nbytes(layers) for _, layers in self._entries)

    def take(self, wanted: PrefixKey) -> tuple[list[LayerT], int] | None:
        """Hand out a cache that holds the longest prefix shared with a prompt.

        Returns:
            The layers, cut to the prefix, and its length in tokens; None when nothing is shared.
        """
        found = [(shared_tokens(key, wanted), index) for index, (key, _) in enumerate(self._entries)]
        shared, index = max(found, default=(0, 0))
        if shared == 0:
            return None
        key, layers = self._entries[index]
        if shared >= TAKE_SHARE * len(key.token_ids):
            del self._entries[index]
        elif shared >= MIN_SHARED_TOKENS:
            layers = [layer.copy() for layer in layers]
        else:
            return None
        surplus = len(key.token_ids) - shared
        for layer in layers:
            dropped = layer.trim(surplus)
            assert dropped == surplus, f"asked to drop {surplus} tokens, dropped {dropped}"
        return layers, shared

    def put(self, key: PrefixKey, layers: list[LayerT]) -> None:
        """Keep a finished turn; the oldest go when the pool is over its limits, as do ones this turn continues."""
        self._entries = [entry for entry in self._entries if not _is_prefix(entry[0], key)]
        self._entries.append((key, layers))
        while len(self._entries) > 1 and (len(self._entries) > self._max_entries or self.nbytes > self._max_bytes):
            del self._entries[0]

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()


def _is_prefix(short: PrefixKey, long: PrefixKey) -> bool:
    """Whether everything in `short` is the beginning of `long` too."""
    return len(short.token_ids) < len(long.token_ids) and shared_tokens(short, long) == len(short.token_ids)


def _nbytes(layers: Sequence[KeptLayer]) -> int:
    return sum(layer.nbytes for layer in layers)
