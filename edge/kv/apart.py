"""Several rows attend at the same time, each to its own memory only.

In: queries of one layer's rows and what each of them remembers. Out: the mixed values, in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import mlx.core as mx

from edge.kv.layer import LayerMemory
from edge.products import attend_apart, is_quick_apart


def attend_each(
    queries: mx.array, memories: Sequence[LayerMemory], *, scale: float, mask: Literal["causal"] | None
) -> mx.array:
    """Attend from each row's newest L tokens, (B, H, L, Dh), to all tokens it holds; returns the same shape."""
    held = [memory.plain for memory in memories if memory.plain is not None]
    if len(held) == len(memories) and is_quick_apart(queries):
        return attend_apart(queries, held, [memory.num_tokens for memory in memories], scale=scale)
    rows = mx.split(queries, len(memories))
    return mx.concatenate([own.attend(row, scale=scale, mask=mask) for own, row in zip(memories, rows, strict=True)])
