"""Memories for a model: the right class per layer, and the planned bytes are the allocated ones."""

from __future__ import annotations

from dataclasses import replace

import mlx.core as mx
import numpy as np
import pytest

from edge.errors import ConfigError
from edge.kv.buffers import STEP_TOKENS
from edge.kv.layer import RowMemory
from edge.kv.make import KvBits, bytes_per_token, make_memory, memory_bytes, memory_form, restore_memory
from edge.kv.packed import PackedMemory
from edge.kv.plain import PlainMemory
from edge.kv.prefix import row_bytes
from tests.unit.model.tiny import TEXT

PACKED = replace(TEXT, head_dim=96)
REAL = replace(TEXT, num_layers=36, num_kv_heads=8, head_dim=128)


def append_tokens(memories: RowMemory, count: int, dtype: mx.Dtype, *, head_dim: int = 96) -> None:
    new = mx.random.normal((1, TEXT.num_kv_heads, count, head_dim), key=mx.random.key(count)).astype(dtype)
    for memory in memories:
        memory.append(mx.concatenate([new, -new], axis=1))


@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16])
@pytest.mark.parametrize("kv_bits", [None, 8, 4])
@pytest.mark.parametrize("head_dim", [96, 64])
def test_planned_bytes_are_the_allocated_ones(kv_bits: KvBits | None, dtype: mx.Dtype, head_dim: int) -> None:
    config = replace(TEXT, head_dim=head_dim)
    memories = make_memory(config, kv_bits=kv_bits)
    per_token = bytes_per_token(config, kv_bits=kv_bits, itemsize=dtype.size)
    held = 0
    for count in (3, 2 * STEP_TOKENS, 1):
        append_tokens(memories, count, dtype, head_dim=head_dim)
        held += count
        assert row_bytes(memories) == memory_bytes(config, held, kv_bits=kv_bits, itemsize=dtype.size)
    assert row_bytes(memories) == 3 * STEP_TOKENS * per_token
    mx.eval([memory.state for memory in memories])
    assert sum(array.nbytes for memory in memories for array in memory.state) == held * per_token


def test_bytes_of_a_model_with_eight_heads_of_128() -> None:
    plain = bytes_per_token(REAL, kv_bits=None, itemsize=2)
    assert plain == 147_456
    assert bytes_per_token(REAL, kv_bits=8, itemsize=2) / plain == 0.5625
    assert bytes_per_token(REAL, kv_bits=4, itemsize=2) / plain == 0.3125


def test_every_layer_has_its_own_empty_memory() -> None:
    plain, packed = make_memory(PACKED, kv_bits=None), make_memory(PACKED, kv_bits=4)
    assert [type(memory) for memory in plain] == [PlainMemory] * TEXT.num_layers
    assert [type(memory) for memory in packed] == [PackedMemory] * TEXT.num_layers
    assert len({id(memory) for memory in packed}) == TEXT.num_layers
    assert row_bytes(packed) == 0


@pytest.mark.parametrize("head_dim", [16, 48, 100])
def test_a_head_that_does_not_divide_by_32_is_refused_in_one_line(head_dim: int) -> None:
    config = replace(TEXT, head_dim=head_dim)
    with pytest.raises(ConfigError, match=f"divisible by 32, this model's is {head_dim}"):
        make_memory(config, kv_bits=8)
    with pytest.raises(ConfigError, match="leave kv_bits out"):
        bytes_per_token(config, kv_bits=4, itemsize=4)
    assert len(make_memory(config, kv_bits=None)) == config.num_layers


@pytest.mark.parametrize("kv_bits", [None, 8, 4])
def test_a_memory_is_restored_from_its_form_and_state(kv_bits: KvBits | None) -> None:
    for config in (PACKED, replace(TEXT, head_dim=128)):
        memories = make_memory(config, kv_bits=kv_bits)
        append_tokens(memories, 7, mx.float32, head_dim=config.head_dim)
        restored = restore_memory(memory_form(memories[0]), memories[0].state)
        assert memory_form(restored) == memory_form(memories[0])
        append_tokens([memories[0], restored], 2, mx.float32, head_dim=config.head_dim)
        for one, other in zip(memories[0].state, restored.state, strict=True):
            assert np.array_equal(np.array(one), np.array(other))


STATES = {
    "plain": (mx.zeros((1, 4, 5, 96)),),
    "packed-8-32": (mx.zeros((1, 4, 5, 24), mx.uint32), mx.zeros((1, 4, 5, 3)), mx.zeros((1, 4, 5, 3))),
}


@pytest.mark.parametrize(
    ("form", "state"),
    [
        ("packed-3-64", STATES["packed-8-32"]),
        ("plain", STATES["packed-8-32"]),
        ("packed-8-32", STATES["plain"]),
        ("packed-4-32", STATES["packed-8-32"]),
        ("plain", 2 * STATES["plain"]),
        ("plain", tuple(array.astype(mx.int32) for array in STATES["plain"])),
        ("plain", (STATES["plain"][0][:, :3],)),
        ("plain", tuple(array[0] for array in STATES["plain"])),
        ("plain", ()),
    ],
)
def test_a_state_of_another_form_is_an_error(form: str, state: tuple[mx.array, ...]) -> None:
    with pytest.raises(ValueError, match=f"expected the state of a memory of form '{form}'"):
        restore_memory(form, state)


@pytest.mark.parametrize("form", STATES)
def test_a_state_of_its_form_is_restored(form: str) -> None:
    assert restore_memory(form, STATES[form]).num_tokens == 5
