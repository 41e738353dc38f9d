"""Keys and values of one decoder layer as they come, in buffers that grow in steps.

A write goes into the buffer itself: MLX hands a buffer on to the updated array when nobody else holds it (donation).
After a fork two memories hold it, so the first write of either copies, once, and both go on by themselves. The other
one gone before that write, nothing is copied. Only keys and values are held: positions are a function of the prompt.
"""

from __future__ import annotations

from typing import Literal, Self

import mlx.core as mx

STEP_TOKENS = 256
"""Buffers grow by this many tokens: a copy of what is held once in 256 decoded tokens."""


class PlainMemory:
    """Keys and values of one row in one layer, in one buffer (1, 2K, S, Dh); see `edge.kv.layer.LayerMemory`."""

    def __init__(self) -> None:
        self._buffers: tuple[mx.array, ...] = ()
        self._num_tokens = 0

    @classmethod
    def from_state(cls, state: tuple[mx.array, ...]) -> Self:
        """Go on from what `state` returned."""
        memory = cls()
        memory._buffers = state
        memory._num_tokens = state[0].shape[2] if state else 0
        return memory

    @property
    def num_tokens(self) -> int:
        """Tokens held, S."""
        return self._num_tokens

    @property
    def nbytes(self) -> int:
        """Bytes of the buffer, spare room included."""
        return sum(int(buffer.nbytes) for buffer in self._buffers)

    @property
    def state(self) -> tuple[mx.array, ...]:
        """Keys of the tokens held with the values behind them, (1, 2K, S, Dh); empty before the first `append`."""
        return tuple(buffer[:, :, : self._num_tokens] for buffer in self._buffers)

    def append(self, keys_values: mx.array) -> None:
        """Add new tokens, (1, 2K, L, Dh): their keys, and the values behind them."""
        held = self._buffers[0] if self._buffers else None
        self._buffers = (_write(held, keys_values, self._num_tokens, STEP_TOKENS),)
        self._num_tokens += keys_values.shape[2]

    def attend(self, queries: mx.array, *, scale: float, mask: Literal["causal"] | None) -> mx.array:
        """Attend from the newest L tokens, (1, H, L, Dh), to all tokens held; returns the same shape."""
        keys, values = mx.split(self._buffers[0][:, :, : self._num_tokens], 2, axis=1)
        return mx.fast.scaled_dot_product_attention(queries, keys, values, scale=scale, mask=mask)

    def trim(self, num_tokens: int) -> None:
        """Forget the last tokens; at most all."""
        self._num_tokens -= min(num_tokens, self._num_tokens)
        self._buffers = cut_spare(self._buffers, num_tokens=self._num_tokens)

    def fork(self) -> Self:
        """Return a memory that goes on from here by itself; the buffers are shared until one of the two writes."""
        other = type(self)()
        other._buffers, other._num_tokens = self._buffers, self._num_tokens
        return other


def write_tokens(
    buffers: tuple[mx.array, ...], new: tuple[mx.array, ...], *, start: int, step_tokens: int = STEP_TOKENS
) -> tuple[mx.array, ...]:
    """Write new tokens behind the held ones, and make room first where it is short.

    Args:
        buffers: (1, K, room, X) each, X any width; empty before the first write.
        new: (1, K, L, X) for every buffer.
        start: Tokens held.
        step_tokens: Room is a multiple of this.

    Returns:
        The buffers with the new tokens; the ones given are spent, unless another memory shares them.
    """
    olds = buffers or (None,) * len(new)
    return tuple(_write(old, part, start, step_tokens) for old, part in zip(olds, new, strict=True))


def cut_spare(buffers: tuple[mx.array, ...], *, num_tokens: int) -> tuple[mx.array, ...]:
    """Let go of buffers with more than a step of spare room, as a long trim leaves them.

    Without it a fork of the first tokens of a long conversation would copy all of that conversation at its first write.
    """
    room = round_up(num_tokens, STEP_TOKENS)
    if num_tokens == 0:
        return ()
    if not buffers or buffers[0].shape[2] <= room + STEP_TOKENS:
        return buffers
    return tuple(mx.contiguous(buffer[:, :, :room]) for buffer in buffers)


def round_up(num_tokens: int, step_tokens: int) -> int:
    """Return the least multiple of a step that holds so many tokens."""
    return -(-num_tokens // step_tokens) * step_tokens


def _write(buffer: mx.array | None, new: mx.array, start: int, step_tokens: int) -> mx.array:
    stop = start + new.shape[2]
    if buffer is None or stop > buffer.shape[2]:
        num_new = round_up(stop, step_tokens) - start
        grown = mx.zeros((*new.shape[:2], num_new, new.shape[3]), dtype=new.dtype)
        buffer = grown if buffer is None or start == 0 else mx.concatenate([buffer[:, :, :start], grown], axis=2)
    else:
        buffer = buffer[:]  # another name for the same array: assigning must not change what a fork sees
    buffer[:, :, start:stop] = new
    return buffer
