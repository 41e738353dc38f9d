from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from edge.kv.layer import LayerMemory
from edge.kv.packed import PackedMemory
from edge.kv.plain import PlainMemory
from edge.kv.side_by_side import SideBySide

LENGTHS = (3, 1, 2)


def values(seed: int, num_heads: int, length: int) -> mx.array:
    return mx.array(np.random.default_rng(seed).standard_normal((1, num_heads, length, 32)).astype(np.float32))


def made(kind: str, seed: int) -> LayerMemory:
    memory: LayerMemory = PlainMemory() if kind == "plain" else PackedMemory(bits=8, group_size=32)
    memory.append(values(seed, 4, 4 + seed))
    return memory


@pytest.mark.parametrize("kind", ["plain", "packed"])
def test_each_row_attends_as_if_alone(kind: str) -> None:
    rows = [made(kind, seed) for seed in range(3)]
    alone = [row.fork() for row in rows]
    new, queries = values(7, 4, 6), values(9, 4, 6)
    together = SideBySide(rows, LENGTHS)
    together.append(new)
    mixed = together.attend(queries, scale=0.3, mask="causal")
    expected = []
    for row, part in zip(alone, (slice(0, 3), slice(3, 4), slice(4, 6)), strict=True):
        row.append(new[:, :, part])
        mask = "causal" if part.stop - part.start > 1 else None
        expected.append(row.attend(queries[:, :, part], scale=0.3, mask=mask))  # type: ignore[arg-type]  # a literal
    assert np.array_equal(np.array(mixed), np.array(mx.concatenate(expected, axis=2)))
    assert [row.num_tokens for row in rows] == [7, 6, 8]
    assert together.num_tokens == 21


@pytest.mark.parametrize("kind", ["plain", "packed"])
def test_wrong_tokens_that_were_trimmed_leave_no_trace(kind: str) -> None:
    row, clean = made(kind, 1), made(kind, 1)
    for wrong in range(1, 4):
        row.append(values(20 + wrong, 4, 4))
        row.trim(4)
        for memory in (row, clean):
            memory.append(values(wrong, 4, 1))
    assert row.num_tokens == clean.num_tokens
    for found, right in zip(row.state, clean.state, strict=True):
        assert np.array_equal(np.array(found), np.array(right))


def test_rows_are_not_trimmed_together() -> None:
    with pytest.raises(AssertionError, match="one by one"):
        SideBySide([PlainMemory()], [1]).trim(1)
