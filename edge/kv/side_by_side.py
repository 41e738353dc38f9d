"""The memories of several rows in one layer, taken as one for a step in which rows bring unlike numbers of tokens.

The tokens of all rows lie behind each other along one axis, so that projections and experts see them together and
nothing is padded. Each row's part is remembered and attended to within its own memory, as if it were alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

import mlx.core as mx

from edge.kv.layer import LayerMemory


class SideBySide:
    """One layer of several rows for the length of one step; see `edge.kv.layer.LayerMemory`."""

    def __init__(self, rows: Sequence[LayerMemory], lengths: Sequence[int]) -> None:
        """Put rows side by side.

        Args:
            rows: Each row's own memory.
            lengths: New tokens of each row, in the same order.
        """
        self.rows = tuple(rows)
        self.lengths = tuple(lengths)
        assert len(self.rows) == len(self.lengths), "each row brings its own number of tokens"

    @property
    def num_tokens(self) -> int:
        """Tokens held by all rows."""
        return sum(row.num_tokens for row in self.rows)

    @property
    def nbytes(self) -> int:
        """Bytes of all rows."""
        return sum(row.nbytes for row in self.rows)

    @property
    def state(self) -> tuple[mx.array, ...]:
        """The arrays of all rows, one row after the other."""
        return tuple(array for row in self.rows for array in row.state)

    @property
    def plain(self) -> None:
        """None: each row has its own."""

    def append(self, keys_values: mx.array) -> None:
        """Add to each row its own tokens out of (1, 2K, sum of lengths, Dh)."""
        for row, own in zip(self.rows, self._parts(), strict=True):
            row.append(keys_values[:, :, own])

    def attend(self, queries: mx.array, *, scale: float, mask: Literal["causal"] | None) -> mx.array:
        """Attend from each row's new tokens to that row's; (1, H, sum of lengths, Dh) in and out."""
        mixed = [
            row.attend(queries[:, :, own], scale=scale, mask=mask if own.stop - own.start > 1 else None)
            for row, own in zip(self.rows, self._parts(), strict=True)
        ]
        return mx.concatenate(mixed, axis=2)

    def trim(self, num_tokens: int) -> None:
        """Refused: rows are trimmed one by one."""
        raise AssertionError(f"rows side by side forget one by one, not {num_tokens} tokens together")

    def fork(self) -> Self:
        """Put forks of all rows side by side."""
        return type(self)([row.fork() for row in self.rows], self.lengths)

    def _parts(self) -> list[slice]:
        stops = [sum(self.lengths[: index + 1]) for index in range(len(self.lengths))]
        return [slice(stop - length, stop) for stop, length in zip(stops, self.lengths, strict=True)]
