"""Keys and values of one decoder layer in 8 or 4 bits, attended to as they lie.

Every token is quantized by itself, in groups along the head, so what a token becomes does not depend on when its
neighbours come: a prompt in one chunk or in many gives the same codes. Scales and biases stay float32, and so do
scores and weights: with the scales in bfloat16 8 bits lose a third of their precision, and with bfloat16 products five
sixths (relative error of the mixed values 0.007, 0.010 and 0.045; bfloat16 keys and values themselves: 0.004).

Keys and values lie in the same three buffers (codes, scales, biases), keys in the first K heads: one quantization and
three writes a step. The products read the codes directly; nothing is unpacked into memory. Where a long chunk meets a
long context, scores of a block of tokens are taken into a running softmax, so what is held does not grow with either.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import mlx.core as mx
import numpy as np

from edge.kv.buffers import TokenBuffers, write_tokens

Bits = Literal[8, 4]

MAX_SCORE_BYTES = 32 * 2**20
"""A long chunk is attended in cuts of query rows, so that scores, weights and mask of one cut stay within this each."""

BLOCK_TOKENS = 4096
"""Tokens whose scores are taken at a time where a cut over all tokens would have fewer rows than one over a block."""

LEAST_CUT_ROWS = 16
"""Cuts of fewer rows would read all codes too often."""


class PackedMemory(TokenBuffers):
    """Quantized keys and values of one row in one layer; see `edge.kv.layer.LayerMemory`."""

    def __init__(self, *, bits: Bits, group_size: int, state: tuple[mx.array, ...] = ()) -> None:
        """Make a memory.

        Args:
            bits: Of one code.
            group_size: Values along the head that share a scale: 32, 64 or 128, a divisor of the head size.
            state: Codes, scales and biases, (1, 2 * K, S, X) each, that `state` returned; none hold no token.
        """
        super().__init__(state)
        self.bits: Bits = bits
        self.group_size = group_size

    @property
    def plain(self) -> None:
        """None: they are packed."""

    def append(self, keys_values: mx.array) -> None:
        """Quantize and add new tokens, (1, 2K, L, Dh): their keys, and the values behind them."""
        new = keys_values.astype(mx.float32)  # scales take its type
        packed = mx.quantize(new, group_size=self.group_size, bits=self.bits)
        self._buffers = write_tokens(self._buffers, packed, start=self._num_tokens)
        self._num_tokens += keys_values.shape[2]

    def attend(self, queries: mx.array, *, scale: float, mask: Literal["causal"] | None) -> mx.array:
        """Attend from the newest L tokens, (1, H, L, Dh), to all tokens held; returns the same shape and type."""
        num_heads, num_new = queries.shape[1:3]
        scaled = queries.astype(mx.float32) * scale  # scores in float32, as the fused kernels for plain ones have them
        is_causal, room = mask == "causal", self._buffers[0].shape[2]
        whole = max(1, MAX_SCORE_BYTES // (4 * num_heads * room))
        attend_rows, cut = self._attend_rows, whole
        if is_causal and whole < min(num_new, LEAST_CUT_ROWS):
            attend_rows, cut = self._attend_blocks, max(1, MAX_SCORE_BYTES // (4 * num_heads * BLOCK_TOKENS))
        outputs: list[mx.array] = []
        for start in range(0, num_new, cut):
            part = scaled[:, :, start : start + cut]
            if outputs:
                (part,) = mx.depends([part], [outputs[-1]])  # one cut after the other, or all scores are held at once
            first = self._num_tokens - num_new + start if is_causal else self._num_tokens - 1
            outputs.append(attend_rows(part, first_visible=first, is_causal=is_causal))
        mixed = outputs[0] if len(outputs) == 1 else mx.concatenate(outputs, axis=2)
        return mixed.astype(queries.dtype)

    def _attend_rows(self, queries: mx.array, *, first_visible: int, is_causal: bool) -> mx.array:
        """Attend from some rows of scaled queries; the first of them sees the tokens up to `first_visible`."""
        _, num_heads, num_rows, head_dim = queries.shape
        num_kv_heads, room = self._buffers[0].shape[1] // 2, self._buffers[0].shape[2]
        per_head = num_heads // num_kv_heads
        grouped = queries.reshape(1, num_kv_heads, per_head * num_rows, head_dim)
        # The whole room is multiplied and the spare hidden: cut buffers would be copied by MLX's CPU products.
        scores = self._multiply(grouped, slice(None, num_kv_heads), is_transposed=True)
        visible = _visible(num_rows if is_causal else 1, first_visible, room)
        scores = scores.reshape(1, num_kv_heads, per_head, num_rows, room)
        weights = mx.softmax(mx.where(visible, scores, -mx.inf), axis=-1).reshape(*grouped.shape[:3], room)
        return self._multiply(weights, slice(num_kv_heads, None), is_transposed=False).reshape(queries.shape)

    def _attend_blocks(self, queries: mx.array, *, first_visible: int, is_causal: bool) -> mx.array:
        """As `_attend_rows` for causal rows, with a softmax that is carried from one block of tokens to the next.

        The sum of weights and the mixed values are scaled down whenever a larger score comes.
        """
        assert is_causal, "blocks are for chunks"
        _, num_heads, num_rows, head_dim = queries.shape
        num_kv_heads = self._buffers[0].shape[1] // 2
        per_head = num_heads // num_kv_heads
        grouped = queries.reshape(1, num_kv_heads, per_head * num_rows, head_dim)
        largest, total, mixed = mx.array(-mx.inf), mx.array(0.0), mx.array(0.0)
        for start in range(0, first_visible + num_rows, BLOCK_TOKENS):
            block = slice(start, min(start + BLOCK_TOKENS, self._num_tokens))
            scores = self._multiply(grouped, slice(None, num_kv_heads), is_transposed=True, tokens=block)
            if block.stop > first_visible + 1:  # the first row does not see all of it
                visible = _visible(num_rows, first_visible - start, block.stop - start)
                rows = scores.reshape(1, num_kv_heads, per_head, num_rows, -1)
                scores = mx.where(visible, rows, -mx.inf).reshape(scores.shape)
            above = mx.maximum(largest, scores.max(axis=-1, keepdims=True))
            weights, kept = mx.exp(scores - above), mx.exp(largest - above)
            total = total * kept + weights.sum(axis=-1, keepdims=True)
            new = self._multiply(weights, slice(num_kv_heads, None), is_transposed=False, tokens=block)
            mixed, largest = mixed * kept + new, above
            (grouped,) = mx.depends([grouped], [mixed])  # one block after the other
        return (mixed / total).reshape(queries.shape)

    def _multiply(self, left: mx.array, heads: slice, *, is_transposed: bool, tokens: slice = slice(None)) -> mx.array:
        """Multiply with the codes of some heads and tokens of the buffers."""
        codes, scales, biases = (buffer[:, heads, tokens] for buffer in self._buffers)
        return mx.quantized_matmul(
            left, codes, scales, biases, transpose=is_transposed, group_size=self.group_size, bits=self.bits
        )


@lru_cache(maxsize=4)
def _visible(num_rows: int, first_visible: int, room: int) -> mx.array:
    """Return (num_rows, room) booleans: row r sees tokens up to `first_visible` + r. Layers of a step share it."""
    return mx.array(np.arange(room) <= first_visible + np.arange(num_rows)[:, None])
