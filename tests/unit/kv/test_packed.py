"""Packed memories: exact about their own codes, a stated error against plain keys and values."""

from __future__ import annotations

from itertools import pairwise

import mlx.core as mx
import numpy as np
import pytest

from edge.kv import packed
from edge.kv.buffers import STEP_TOKENS
from edge.kv.make import KvBits, choose_group_size
from edge.kv.packed import PackedMemory
from edge.kv.plain import PlainMemory
from tests.unit.kv.reference import HEADS, KV_HEADS, numpy_attention, random_pairs, random_tokens, relative_error

# Relative error of the mixed values on normal keys and values, 400 tokens: measured, and allowed.
MEASURED: dict[KvBits, float] = {8: 0.0079, 4: 0.136}
BITS: tuple[KvBits, ...] = (8, 4)
SCALE = 0.125


def filled(count: int, *, bits: KvBits, seed: int = 0, head_dim: int = 64) -> PackedMemory:
    memory = PackedMemory(bits=bits, group_size=choose_group_size(head_dim))
    memory.append(random_pairs(count, seed=seed, head_dim=head_dim))
    return memory


def unpacked(memory: PackedMemory) -> tuple[mx.array, mx.array]:
    """Keys and values as the codes say."""
    codes, scales, biases = memory.state
    both = mx.dequantize(codes, scales, biases, group_size=memory.group_size, bits=memory.bits)
    return both[:, :KV_HEADS], both[:, KV_HEADS:]


def is_equal(one: PackedMemory, other: PackedMemory) -> bool:
    pairs = zip(one.state, other.state, strict=True)
    return all(np.array_equal(np.array(mine), np.array(theirs)) for mine, theirs in pairs)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("head_dim", [32, 64, 96, 128])
@pytest.mark.parametrize("num_new", [1, 5])
@pytest.mark.parametrize("cut_bytes", [packed.MAX_SCORE_BYTES, 2 * 4 * HEADS * STEP_TOKENS])
def test_attention_is_that_of_the_unpacked_codes(
    bits: KvBits, head_dim: int, num_new: int, cut_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "MAX_SCORE_BYTES", cut_bytes)
    memory = filled(200, bits=bits, head_dim=head_dim)
    queries = random_tokens(num_new, seed=3, heads=HEADS, head_dim=head_dim)
    expected = numpy_attention(queries, *unpacked(memory), scale=SCALE)
    got = memory.attend(queries, scale=SCALE, mask="causal")
    assert got.shape == expected.shape
    assert got.dtype == mx.float32
    assert relative_error(got, expected) <= 2e-6
    everything = numpy_attention(queries, *unpacked(memory), scale=SCALE, is_causal=False)
    assert relative_error(memory.attend(queries, scale=SCALE, mask=None), everything) <= 2e-6


def attended_in_blocks(memory: PackedMemory, queries: mx.array, patch: pytest.MonkeyPatch, *, rows: int) -> mx.array:
    """As a chunk that meets a long context: cuts of some rows, blocks of 64 tokens."""
    patch.setattr(packed, "BLOCK_TOKENS", 64)
    patch.setattr(packed, "LEAST_CUT_ROWS", 1000)
    patch.setattr(packed, "MAX_SCORE_BYTES", rows * 4 * HEADS * 64)
    return memory.attend(queries, scale=SCALE, mask="causal")


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("rows", [1, 7, 50])
@pytest.mark.parametrize(("held", "num_new"), [(300, 50), (256, 64), (64, 64), (193, 2), (65, 65)])
def test_blocks_with_a_carried_softmax_give_the_same(
    bits: KvBits, rows: int, held: int, num_new: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory, queries = filled(held, bits=bits), 4 * random_tokens(num_new, seed=3, heads=HEADS)
    expected = numpy_attention(queries, *unpacked(memory), scale=SCALE)
    assert relative_error(attended_in_blocks(memory, queries, monkeypatch, rows=rows), expected) <= 2e-6


def test_a_softmax_that_is_not_carried_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, queries = filled(300, bits=8), 4 * random_tokens(50, seed=3, heads=HEADS)
    expected = numpy_attention(queries, *unpacked(memory), scale=SCALE)
    plain = mx.exp
    # What was mixed before stays as it is when a larger score comes.
    monkeypatch.setattr(mx, "exp", lambda array: mx.ones_like(array) if array.shape[-1] == 1 else plain(array))
    assert relative_error(attended_in_blocks(memory, queries, monkeypatch, rows=7), expected) > 1e-3


@pytest.mark.parametrize("bits", BITS)
def test_one_key_too_many_would_show(bits: KvBits) -> None:
    memory, queries = filled(40, bits=bits), random_tokens(5, seed=3, heads=HEADS)
    late = mx.concatenate([queries[:, :, 1:], queries[:, :, :1]], axis=2)
    expected = numpy_attention(queries, *unpacked(memory), scale=SCALE)
    assert relative_error(memory.attend(late, scale=SCALE, mask="causal"), expected) > 0.01
    assert relative_error(memory.attend(queries, scale=SCALE, mask=None), expected) > 0.01


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16])
def test_the_error_against_plain_is_the_stated_one(bits: KvBits, dtype: mx.Dtype) -> None:
    both = random_pairs(400, seed=1).astype(dtype)
    queries = random_tokens(16, seed=3, heads=HEADS)
    memory, plain = PackedMemory(bits=bits, group_size=64), PlainMemory()
    memory.append(both)
    plain.append(both.astype(mx.float32))
    expected = np.array(plain.attend(queries, scale=SCALE, mask="causal"), dtype=np.float64)
    error = relative_error(memory.attend(queries, scale=SCALE, mask="causal"), expected)
    assert 0.5 * MEASURED[bits] < error < 1.2 * MEASURED[bits]


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("stops", [[1, 2, 3, 300], [255, 256, 257, 300], [299, 300]])
def test_any_chunks_give_the_same_codes_and_results(bits: KvBits, stops: list[int]) -> None:
    both = random_pairs(300, seed=0)
    queries, whole = random_tokens(300, seed=3, heads=HEADS), filled(300, bits=bits)
    expected = np.array(whole.attend(queries, scale=SCALE, mask="causal"), dtype=np.float64)
    memory = PackedMemory(bits=bits, group_size=64)
    for start, stop in pairwise([0, *stops]):
        memory.append(both[:, :, start:stop])
        got = memory.attend(queries[:, :, start:stop], scale=SCALE, mask="causal")
        assert relative_error(got, expected[:, :, start:stop]) <= 1e-6
    assert is_equal(memory, whole)


@pytest.mark.parametrize("bits", BITS)
def test_a_trimmed_memory_forgets_what_it_held(bits: KvBits) -> None:
    memory, queries = filled(30, bits=bits), random_tokens(4, seed=3, heads=HEADS)
    memory.trim(10)
    expected = numpy_attention(queries, *(part[:, :, :20] for part in unpacked(filled(30, bits=bits))), scale=SCALE)
    assert relative_error(memory.attend(queries, scale=SCALE, mask="causal"), expected) <= 2e-6
    memory.append(random_pairs(2, seed=7))
    assert is_equal(PackedMemory(state=_first(memory, 20), bits=bits, group_size=64), _trimmed(30, 10, bits))
    memory.trim(100)
    assert (memory.num_tokens, memory.nbytes, memory.state) == (0, 0, ())


def _first(memory: PackedMemory, count: int) -> tuple[mx.array, ...]:
    return tuple(array[:, :, :count] for array in memory.state)


def _trimmed(count: int, removed: int, bits: KvBits) -> PackedMemory:
    memory = filled(count, bits=bits)
    memory.trim(removed)
    return memory


@pytest.mark.parametrize("bits", BITS)
def test_forked_and_restored_memories_go_on_by_themselves(bits: KvBits) -> None:
    source = filled(5, bits=bits)
    fork, restored = source.fork(), PackedMemory(state=source.state, bits=bits, group_size=64)
    for memory, seed in ((source, 1), (fork, 2), (restored, 2)):
        memory.append(random_pairs(1, seed=seed))
    assert is_equal(fork, restored)
    assert not is_equal(source, fork)
    assert is_equal(PackedMemory(state=_first(source, 5), bits=bits, group_size=64), filled(5, bits=bits))
    queries = random_tokens(2, seed=3, heads=HEADS)
    one, other = (memory.attend(queries, scale=SCALE, mask="causal") for memory in (fork, restored))
    assert relative_error(one, np.array(other, dtype=np.float64)) <= 1e-6


def test_bfloat16_comes_back_as_bfloat16_and_scales_are_float32() -> None:
    memory = PackedMemory(bits=8, group_size=64)
    memory.append(random_pairs(5, seed=1).astype(mx.bfloat16))
    queries = random_tokens(1, seed=3, heads=HEADS).astype(mx.bfloat16)
    assert memory.attend(queries, scale=SCALE, mask=None).dtype == mx.bfloat16
    assert [array.dtype for array in memory.state] == [mx.uint32, mx.float32, mx.float32]


def peak_bytes(memory: PackedMemory, queries: mx.array, *, num_appended: int) -> int:
    """Bytes above what was held before, while tokens are appended and attended to."""
    new = mx.ones((1, 16, num_appended, 64))
    mx.eval(new, queries, memory.state)
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    if num_appended:
        memory.append(new)
    mx.eval(memory.attend(queries, scale=SCALE, mask="causal"), memory.state)
    return mx.get_peak_memory() - before


@pytest.mark.parametrize("bits", BITS)
def test_a_decode_step_copies_and_unpacks_nothing(bits: KvBits) -> None:
    memory = PackedMemory(bits=bits, group_size=64)
    memory.append(mx.zeros((1, 16, 40 * STEP_TOKENS - 10, 64)))
    queries = mx.ones((1, 8, 1, 64))
    peak_bytes(memory, queries, num_appended=1)
    scores = 4 * 8 * 40 * STEP_TOKENS
    assert peak_bytes(memory, queries, num_appended=1) < 4 * scores < memory.nbytes / 4


def test_the_scores_of_a_long_chunk_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, queries = PackedMemory(bits=8, group_size=64), mx.ones((1, 8, 128, 64))
    memory.append(mx.zeros((1, 16, 8 * STEP_TOKENS, 64)))
    scores = 4 * 8 * 128 * memory.num_tokens
    assert peak_bytes(memory, queries, num_appended=0) > scores
    monkeypatch.setattr(packed, "MAX_SCORE_BYTES", scores // 32)
    assert peak_bytes(memory, queries, num_appended=0) < scores / 3
