from __future__ import annotations

import mlx.core as mx

from edge.cache.vision import VisionCache, vision_output_bytes
from edge.model.types import VisionOutput


def output(num_tokens: int) -> VisionOutput:
    return VisionOutput(mx.zeros((num_tokens, 5)), (mx.zeros((num_tokens, 5)), mx.ones((num_tokens, 5))))


def test_features_come_back_with_their_deepstack_peers_5() -> None:
    cache = VisionCache(max_bytes=10_000)
    cache.keep("cat", output(3))
    found = cache.find("cat")
    assert found is not None
    assert [level.shape for level in found.deepstack] == [(3, 5), (3, 5)]


def test_bytes_count_features_and_deepstack() -> None:
    assert vision_output_bytes(output(3)) == 3 * 5 * 4 * 3


def test_the_least_recently_used_goes_first_when_full() -> None:
    cache = VisionCache(max_bytes=vision_output_bytes(output(2)) * 2)
    cache.keep("a", output(2))
    cache.keep("b", output(2))
    assert cache.find("a") is not None
    cache.keep("c", output(2))
    assert cache.find("b") is None
    assert cache.find("a") is not None
    assert len(cache) == 2


def test_a_picture_over_the_limit_is_not_kept() -> None:
    cache = VisionCache(max_bytes=100)
    cache.keep("big", output(20))
    assert cache.find("big") is None
    assert cache.nbytes == 0


def test_keeping_twice_counts_once() -> None:
    cache = VisionCache(max_bytes=10_000)
    cache.keep("a", output(2))
    cache.keep("a", output(2))
    assert cache.nbytes == vision_output_bytes(output(2))
