"""A small conversation with a picture, to be kept on disk in every form."""

from __future__ import annotations

import mlx.core as mx
import numpy as np

from edge.kv.layer import LayerMemory, RowMemory
from edge.kv.make import KvBits
from edge.kv.packed import PackedMemory
from edge.kv.plain import PlainMemory
from edge.kv.prefix import PrefixKey, SpanKey
from tests.unit.kv.reference import random_tokens

NUM_TOKENS = 40
SPAN = SpanKey(20, 4, "cat", 0)


def make_key(num_tokens: int = NUM_TOKENS, *, seed: int = 0, more: tuple[int, ...] = ()) -> PrefixKey:
    """Return ids that differ by seed, positions that stand still inside the picture, and the picture."""
    ids = np.array([*(1000 * seed + np.arange(num_tokens)), *more], dtype=np.int32)
    positions = np.tile(np.minimum(np.arange(len(ids)), 50), (3, 1)).astype(np.int32)
    positions[1, 20:24] = 21
    return PrefixKey(ids, positions, (SPAN,) if len(ids) > SPAN.start else ())


def make_row(
    num_tokens: int = NUM_TOKENS, *, kv_bits: KvBits | None = None, dtype: mx.Dtype = mx.float32, seed: int = 0
) -> list[LayerMemory]:
    """Return memories of two layers with random keys and values, which depend on the token's place and the seed."""
    memories: list[LayerMemory] = []
    for layer_index in range(2):
        memory = PlainMemory() if kv_bits is None else PackedMemory(bits=kv_bits, group_size=32)
        new = [random_tokens(256, seed=100 * seed + 10 * layer_index + part, head_dim=32) for part in (0, 1)]
        memory.append(mx.concatenate(new, axis=1)[:, :, :num_tokens].astype(dtype))
        memories.append(memory)
    return memories


def is_row_equal(one: RowMemory, other: RowMemory) -> bool:
    """Compare class, types and every bit of two rows."""
    pairs = [
        pair for mine, theirs in zip(one, other, strict=True) for pair in zip(mine.state, theirs.state, strict=True)
    ]
    are_equal = [mine.dtype == theirs.dtype and mx.array_equal(mine, theirs).item() for mine, theirs in pairs]
    return [type(memory) for memory in one] == [type(memory) for memory in other] and all(are_equal)
