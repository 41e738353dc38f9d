"""Keys and values of one conversation, one cache per decoder layer.

The protocol is mlx-lm's (`update_and_fetch`, `offset`, `trim`, `state`), whose caches fit too; these few lines are
ours because importing mlx-lm pulls in transformers (1.4 s of a start that should take 2).
The cache holds K and V only: positions are a function of the prompt.
"""

from __future__ import annotations

from typing import Literal

import mlx.core as mx

from edge.config import TextConfig

STEP_TOKENS = 256
"""Buffers grow by this many tokens, so that most decode steps write in place."""


class KVCache:
    """Keys and values of one layer in buffers that grow in steps; `offset` is the number of tokens held."""

    def __init__(self) -> None:
        self.offset = 0
        self._keys: mx.array | None = None
        self._values: mx.array | None = None

    @classmethod
    def from_state(cls, keys: mx.array, values: mx.array) -> KVCache:
        """Restore a cache from what `state` returned, (B, H, S, Dh) each."""
        cache = cls()
        cache._keys, cache._values, cache.offset = keys, values, keys.shape[2]
        return cache

    def update_and_fetch(self, keys: mx.array, values: mx.array) -> tuple[mx.array, mx.array]:
        """Append (B, H, L, Dh) keys and values; return all of them, (B, H, S, Dh)."""
        start, stop = self.offset, self.offset + keys.shape[2]
        self._keys = _write(self._keys, keys, start)
        self._values = _write(self._values, values, start)
        self.offset = stop
        return self._keys[:, :, :stop], self._values[:, :, :stop]

    @property
    def num_tokens(self) -> int:
        """Tokens held, S."""
        return self.offset

    def append(self, keys: mx.array, values: mx.array) -> None:
        """Add the keys and values of new tokens, (1, H, L, Dh) each."""
        self.update_and_fetch(keys, values)

    def attend(self, queries: mx.array, *, scale: float, mask: Literal["causal"] | None) -> mx.array:
        """Attend from the newest tokens to all tokens held; keeps the shape of the queries."""
        keys, values = self.state
        return mx.fast.scaled_dot_product_attention(queries, keys, values, scale=scale, mask=mask)

    def fork(self) -> KVCache:
        """Return a cache that goes on from here by itself."""
        return self.copy()

    @property
    def state(self) -> tuple[mx.array, mx.array]:
        """Keys and values of the tokens held, (B, H, S, Dh) each; to be evaluated, saved or restored.

        Raises:
            ValueError: The cache is empty.
        """
        if self._keys is None or self._values is None:
            raise ValueError("an empty cache has no state; check `offset` first")
        return self._keys[:, :, : self.offset], self._values[:, :, : self.offset]

    def copy(self) -> KVCache:
        """Return a cache that goes on from here by itself; the arrays are shared until one of the two writes."""
        other = KVCache()
        other._keys, other._values, other.offset = self._keys, self._values, self.offset
        return other

    def trim(self, num_tokens: int) -> int:
        """Forget the last tokens, at most all; return how many were forgotten."""
        removed = min(num_tokens, self.offset)
        self.offset -= removed
        return removed

    def is_trimmable(self) -> bool:
        """Tell that any number of tokens can be forgotten."""
        return True

    @property
    def nbytes(self) -> int:
        """Bytes of the two buffers."""
        return sum(buffer.nbytes for buffer in (self._keys, self._values) if buffer is not None)


def make_cache(config: TextConfig) -> list[KVCache]:
    """Return an empty cache for every decoder layer."""
    return [KVCache() for _ in range(config.num_layers)]


def _write(buffer: mx.array | None, new: mx.array, start: int) -> mx.array:
    """Return a buffer that holds `new` from token `start` on; it keeps what stands before."""
    stop = start + new.shape[2]
    if buffer is None or stop > buffer.shape[2]:
        num_new = -(-stop // STEP_TOKENS) * STEP_TOKENS - start
        grown = mx.zeros((*new.shape[:2], num_new, new.shape[3]), dtype=new.dtype)
        buffer = grown if buffer is None or start == 0 else mx.concatenate([buffer[:, :, :start], grown], axis=2)
    else:
        buffer = buffer[:]
    buffer[:, :, start:stop] = new
    return buffer
