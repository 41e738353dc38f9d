"""Keys and values of one decoder layer as they come: positions are a function of the prompt, and not held."""

from __future__ import annotations

from typing import Literal

import mlx.core as mx

from edge.kv.buffers import TokenBuffers, write_tokens
from edge.products import attend


class PlainMemory(TokenBuffers):
    """Keys and values of one row in one layer, in one buffer (1, 2K, S, Dh); see `edge.kv.layer.LayerMemory`."""

    @property
    def plain(self) -> mx.array:
        """The buffer itself, (1, 2K, room, Dh), of which the first tokens count."""
        return self._buffers[0]

    def append(self, keys_values: mx.array) -> None:
        """Add new tokens, (1, 2K, L, Dh): their keys, and the values behind them."""
        self._buffers = write_tokens(self._buffers, (keys_values,), start=self._num_tokens)
        self._num_tokens += keys_values.shape[2]

    def attend(self, queries: mx.array, *, scale: float, mask: Literal["causal"] | None) -> mx.array:
        """Attend from the newest L tokens, (1, H, L, Dh), to all tokens held; returns the same shape."""
        keys, values = mx.split(self._buffers[0][:, :, : self._num_tokens], 2, axis=1)
        return attend(queries, keys, values, scale=scale, mask=mask)
