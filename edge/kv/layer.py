"""The protocol of a layer's memory: what attention needs of the tokens before the new ones.

A row owns one memory per decoder layer. Arrays of MLX are values: a fork shares them until one of the two writes.
Axes: 1 row, H query heads, K kv heads, L new tokens, S tokens held, Dh head size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, Self

import mlx.core as mx


class LayerMemory(Protocol):
    """Keys and values of one row in one decoder layer."""

    @property
    def num_tokens(self) -> int:
        """Tokens held, S."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes of the buffers, spare room included."""
        ...

    @property
    def state(self) -> tuple[mx.array, ...]:
        """All arrays, cut to the tokens held: to be evaluated, saved or restored. Empty before the first `append`."""
        ...

    @property
    def plain(self) -> mx.array | None:
        """Keys and values as they came, and room behind them, (1, 2K, room, Dh); None if they are held otherwise."""
        ...

    def append(self, keys_values: mx.array) -> None:
        """Add new tokens, (1, 2K, L, Dh): their keys, and the values behind them."""
        ...

    def attend(self, queries: mx.array, *, scale: float, mask: Literal["causal"] | None) -> mx.array:
        """Attend from the newest L tokens, (1, H, L, Dh), to all tokens held; returns the same shape."""
        ...

    def trim(self, num_tokens: int) -> None:
        """Forget the last tokens; at most all."""
        ...

    def fork(self) -> Self:
        """Return a memory that goes on from here by itself."""
        ...


RowMemory = Sequence[LayerMemory]
"""One memory per decoder layer."""
