"""The key-value cache: what goes in comes out, whatever the steps, cuts and copies between."""

from __future__ import annotations

from itertools import pairwise

import mlx.core as mx
import numpy as np
import pytest

from edge.cache.kv import STEP_TOKENS, KVCache, make_cache
from tests.unit.model.tiny import TEXT


def tokens(count: int, seed: int = 0) -> mx.array:
    return mx.random.normal((2, 3, count, 4), key=mx.random.key(seed))


def filled(count: int, seed: int = 0) -> KVCache:
    cache = KVCache()
    cache.update_and_fetch(tokens(count, seed), -tokens(count, seed))
    return cache


@pytest.mark.parametrize("stops", [[700], [1, 2, 3, 700], [256, 512, 700], [255, 256, 257, 700], [300, 301, 700]])
def test_any_chunks_give_all_tokens_in_order(stops: list[int]) -> None:
    everything, cache = tokens(700), KVCache()
    for start, stop in pairwise([0, *stops]):
        part = everything[:, :, start:stop]
        keys, values = cache.update_and_fetch(part, -part)
        assert cache.offset == stop
        assert np.array_equal(np.array(keys), np.array(everything[:, :, :stop]))
        assert np.array_equal(np.array(values), -np.array(everything[:, :, :stop]))


def test_buffers_grow_in_steps() -> None:
    cache = filled(3)
    one_step = cache.nbytes
    assert one_step == 2 * 2 * 3 * STEP_TOKENS * 4 * 4
    cache.update_and_fetch(tokens(STEP_TOKENS - 3), tokens(STEP_TOKENS - 3))
    assert cache.nbytes == one_step
    cache.update_and_fetch(tokens(1), tokens(1))
    assert cache.nbytes == 2 * one_step


def test_a_trimmed_cache_goes_on_from_the_cut() -> None:
    cache = filled(10)
    assert cache.trim(4) == 4
    keys, _ = cache.update_and_fetch(tokens(2, seed=1), tokens(2, seed=1))
    expected = mx.concatenate([tokens(10)[:, :, :6], tokens(2, seed=1)], axis=2)
    assert np.array_equal(np.array(keys), np.array(expected))
    assert cache.trim(100) == 8
    assert cache.offset == 0


def test_a_cache_trimmed_to_nothing_takes_a_batch_of_another_size_step() -> None:
    cache = filled(10)
    cache.trim(10)
    keys, _ = cache.update_and_fetch(tokens(600, seed=2), tokens(600, seed=2))
    assert np.array_equal(np.array(keys), np.array(tokens(600, seed=2)))


def test_a_copy_and_its_original_do_not_disturb_each_other() -> None:
    first = filled(5)
    second = first.copy()
    one, _ = first.update_and_fetch(tokens(1, seed=1), tokens(1, seed=1))
    two, _ = second.update_and_fetch(tokens(1, seed=2), tokens(1, seed=2))
    assert np.array_equal(np.array(one[:, :, 5:]), np.array(tokens(1, seed=1)))
    assert np.array_equal(np.array(two[:, :, 5:]), np.array(tokens(1, seed=2)))
    assert (first.offset, second.offset) == (6, 6)


def test_a_restored_cache_equals_the_saved_one() -> None:
    cache = filled(5)
    restored = KVCache.from_state(*cache.state)
    mine, _ = cache.update_and_fetch(tokens(1, seed=1), tokens(1, seed=1))
    theirs, _ = restored.update_and_fetch(tokens(1, seed=1), tokens(1, seed=1))
    assert np.array_equal(np.array(mine), np.array(theirs))


def test_an_empty_cache_has_no_state() -> None:
    with pytest.raises(ValueError, match="empty"):
        _ = KVCache().state


def test_there_is_one_empty_cache_per_layer() -> None:
    caches = make_cache(TEXT)
    assert [cache.offset for cache in caches] == [0] * TEXT.num_layers
    assert all(cache.nbytes == 0 and cache.is_trimmable() for cache in caches)


def test_a_decode_step_writes_in_place() -> None:
    cache = KVCache()
    large = mx.zeros((1, 8, 40 * STEP_TOKENS - 10, 64))
    mx.eval(cache.update_and_fetch(large, large))
    del large
    one = mx.ones((1, 8, 1, 64))
    mx.eval(one, *cache.state)
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    mx.eval(cache.update_and_fetch(one, one)[0][:, :, -1])
    mx.eval(cache.state)
    assert mx.get_peak_memory() - before < cache.nbytes / 4
