"""Plain memories: what goes in is what is attended to, whatever the steps, cuts and forks between."""

from __future__ import annotations

from itertools import pairwise

import mlx.core as mx
import numpy as np
import pytest

from edge.kv.buffers import STEP_TOKENS
from edge.kv.plain import PlainMemory
from tests.unit.kv.reference import HEADS, KV_HEADS, numpy_attention, random_pairs, random_tokens, relative_error

TOKEN_BYTES = 2 * KV_HEADS * 64 * 4


def filled(count: int, *, seed: int = 0) -> PlainMemory:
    memory = PlainMemory()
    memory.append(random_pairs(count, seed=seed))
    return memory


def held_by(memory: PlainMemory) -> np.ndarray:
    return np.array(memory.state[0])


@pytest.mark.parametrize("stops", [[700], [1, 2, 3, 700], [256, 512, 700], [255, 256, 257, 700], [300, 301, 700]])
def test_any_chunks_attend_as_the_reference_does(stops: list[int]) -> None:
    both = random_pairs(700, seed=1)
    keys, values = both[:, :KV_HEADS], both[:, KV_HEADS:]
    queries, memory = random_tokens(700, seed=3, heads=HEADS), PlainMemory()
    for start, stop in pairwise([0, *stops]):
        memory.append(both[:, :, start:stop])
        assert memory.num_tokens == stop
        got = memory.attend(queries[:, :, start:stop], scale=0.125, mask="causal")
        expected = numpy_attention(queries[:, :, start:stop], keys[:, :, :stop], values[:, :, :stop], scale=0.125)
        assert got.shape == expected.shape
        assert got.dtype == mx.float32
        assert relative_error(got, expected) <= 1e-6
    assert np.array_equal(held_by(memory), np.array(both))


def test_without_the_causal_mask_the_result_is_another() -> None:
    memory, queries = filled(9), random_tokens(3, seed=3, heads=HEADS)
    (both,) = memory.state
    keys, values = both[:, :KV_HEADS], both[:, KV_HEADS:]
    expected = numpy_attention(queries, keys, values, scale=0.125)
    assert relative_error(memory.attend(queries, scale=0.125, mask="causal"), expected) <= 1e-6
    assert relative_error(memory.attend(queries, scale=0.125, mask=None), expected) > 0.01


def test_bfloat16_stays_bfloat16() -> None:
    memory = PlainMemory()
    memory.append(random_pairs(5, seed=1).astype(mx.bfloat16))
    queries = random_tokens(1, seed=3, heads=HEADS).astype(mx.bfloat16)
    assert memory.attend(queries, scale=0.125, mask=None).dtype == mx.bfloat16
    assert [array.dtype for array in memory.state] == [mx.bfloat16]


def test_buffers_grow_in_steps() -> None:
    memory = filled(3)
    assert memory.nbytes == STEP_TOKENS * TOKEN_BYTES
    memory.append(*filled(STEP_TOKENS - 3, seed=1).state)
    assert memory.nbytes == STEP_TOKENS * TOKEN_BYTES
    memory.append(*filled(1, seed=1).state)
    assert memory.nbytes == 2 * STEP_TOKENS * TOKEN_BYTES


def test_a_trimmed_memory_goes_on_from_the_cut() -> None:
    memory, more = filled(10), filled(2, seed=1)
    memory.trim(4)
    memory.append(*more.state)
    assert np.array_equal(held_by(memory), np.concatenate([held_by(filled(10))[:, :, :6], held_by(more)], axis=2))


def test_at_most_everything_is_trimmed_and_the_buffers_go() -> None:
    memory = filled(10)
    memory.trim(100)
    assert (memory.num_tokens, memory.nbytes, memory.state) == (0, 0, ())
    memory.append(*filled(600, seed=2).state)
    assert np.array_equal(held_by(memory), held_by(filled(600, seed=2)))


def test_a_long_trim_lets_go_of_the_room_and_a_short_one_does_not() -> None:
    memory = filled(4 * STEP_TOKENS)
    memory.trim(10)
    assert memory.nbytes == 4 * STEP_TOKENS * TOKEN_BYTES
    memory.trim(3 * STEP_TOKENS)
    assert memory.nbytes == STEP_TOKENS * TOKEN_BYTES
    assert np.array_equal(held_by(memory), held_by(filled(4 * STEP_TOKENS))[:, :, : STEP_TOKENS - 10])


def test_a_fork_and_its_source_do_not_disturb_each_other() -> None:
    source = filled(5)
    fork = source.fork()
    source.append(*filled(1, seed=1).state)
    fork.append(*filled(1, seed=2).state)
    assert np.array_equal(held_by(source), np.concatenate([held_by(filled(5)), held_by(filled(1, seed=1))], axis=2))
    assert np.array_equal(held_by(fork), np.concatenate([held_by(filled(5)), held_by(filled(1, seed=2))], axis=2))


def test_a_restored_memory_equals_the_saved_one() -> None:
    memory = filled(5)
    restored = PlainMemory(memory.state)
    memory.append(*filled(1, seed=1).state)
    restored.append(*filled(1, seed=1).state)
    assert np.array_equal(held_by(restored), held_by(memory))
    assert PlainMemory(PlainMemory().state).num_tokens == 0


def large() -> PlainMemory:
    memory = PlainMemory()
    memory.append(mx.zeros((1, 16, 40 * STEP_TOKENS - 10, 64)))
    mx.eval(memory.state)
    return memory


def peak_of_a_step(memory: PlainMemory) -> int:
    """Bytes above what was held before, while one token is appended."""
    one = mx.ones((1, 16, 1, 64))
    mx.eval(one)
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    memory.append(one)
    mx.eval(memory.state)
    return mx.get_peak_memory() - before


def test_a_decode_step_writes_in_place_and_a_fork_copies_once() -> None:
    memory = large()
    assert peak_of_a_step(memory) < memory.nbytes / 100
    fork = memory.fork()
    assert peak_of_a_step(fork) > 0.9 * memory.nbytes
    assert peak_of_a_step(fork) < memory.nbytes / 100
    assert peak_of_a_step(memory) < memory.nbytes / 100


def test_a_fork_whose_source_is_gone_copies_nothing() -> None:
    memory = large()
    fork = memory.fork()
    del memory
    assert peak_of_a_step(fork) < fork.nbytes / 100
