"""The buffers that every memory of a decoder layer keeps: they grow in steps, and are shared after a fork.

A write goes into the buffer itself: MLX hands a buffer on to the updated array when nobody else holds it (donation).
After a fork two memories hold it, so the first write of either copies, once, and both go on by themselves. The other
one gone before that write, nothing is copied. Tested by tests/unit/kv/test_plain.py and test_packed.py.
"""

from __future__ import annotations

import copy
from typing import Self

import mlx.core as mx

STEP_TOKENS = 256
"""Buffers grow by this many tokens: a copy of what is held once in 256 decoded tokens."""


class TokenBuffers:
    """What one row remembers in one layer, in buffers (1, X, room, Y) of which the first S tokens count."""

    def __init__(self, state: tuple[mx.array, ...] = ()) -> None:
        """Take buffers without spare room, as `state` returns them; none hold no token."""
        self._buffers = state
        self._num_tokens = state[0].shape[2] if state else 0

    @property
    def num_tokens(self) -> int:
        """Tokens held, S."""
        return self._num_tokens

    @property
    def nbytes(self) -> int:
        """Bytes of the buffers, spare room included."""
        return sum(int(buffer.nbytes) for buffer in self._buffers)

    @property
    def state(self) -> tuple[mx.array, ...]:
        """Each buffer's tokens held, (1, X, S, Y); empty before the first `append`."""
        return tuple(buffer[:, :, : self._num_tokens] for buffer in self._buffers)

    def trim(self, num_tokens: int) -> None:
        """Forget the last tokens; at most all."""
        self._num_tokens -= min(num_tokens, self._num_tokens)
        self._buffers = cut_spare(self._buffers, num_tokens=self._num_tokens)

    def fork(self) -> Self:
        """Return a memory that goes on from here by itself; the buffers are shared until one of the two writes."""
        return copy.copy(self)


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
    if len(new) == 1:  # the plain ones, once a layer and token: the loop below would take as long as the write
        return (_write(buffers[0] if buffers else None, new[0], start, step_tokens),)
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
