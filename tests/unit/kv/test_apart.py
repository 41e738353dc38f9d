"""Rows attend each to their own memory, whatever kind it is."""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx
import numpy as np
import pytest

from edge.kv.apart import attend_each
from edge.kv.layer import LayerMemory
from edge.kv.packed import PackedMemory
from edge.kv.plain import PlainMemory

LENGTHS = (7, 30, 2)


def packed() -> LayerMemory:
    return PackedMemory(bits=8, group_size=32)


@pytest.mark.parametrize("kinds", [(PlainMemory,) * 3, (packed,) * 3, (PlainMemory, packed, PlainMemory)])
@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16])
def test_each_row_attends_as_if_it_were_alone(kinds: tuple[Callable[[], LayerMemory], ...], dtype: mx.Dtype) -> None:
    memories = [kind() for kind in kinds]
    for index, (memory, length) in enumerate(zip(memories, LENGTHS, strict=True)):
        memory.append(mx.random.normal((1, 4, length, 64), key=mx.random.key(index)).astype(dtype))
    queries = mx.random.normal((3, 8, 1, 64), key=mx.random.key(9)).astype(dtype)
    found = attend_each(queries, memories, scale=0.125, mask=None)
    assert (found.shape, found.dtype) == (queries.shape, dtype)
    for index, memory in enumerate(memories):
        alone = memory.attend(queries[index : index + 1], scale=0.125, mask=None)
        np.testing.assert_allclose(
            np.array(found[index].astype(mx.float32)), np.array(alone[0].astype(mx.float32)), atol=1e-6
        )
    assert [memory.num_tokens for memory in memories] == list(LENGTHS)
