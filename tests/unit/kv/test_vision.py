"""Vision results: whole or not at all, the least recently used go first."""

from __future__ import annotations

import mlx.core as mx

from edge.kv.vision import VisionMemory, vision_output_bytes
from edge.model.types import VisionOutput


def output(num_tokens: int) -> VisionOutput:
    return VisionOutput(mx.zeros((num_tokens, 5)), (mx.zeros((num_tokens, 5)), mx.ones((num_tokens, 5))))


TWO_BYTES = vision_output_bytes(output(2))


def test_features_come_back_with_their_deepstack() -> None:
    memory = VisionMemory(max_bytes=10_000)
    memory.keep("cat", output(3))
    found = memory.find("cat")
    assert found is not None
    assert [level.shape for level in found.deepstack] == [(3, 5), (3, 5)]
    assert memory.find("dog") is None


def test_bytes_count_features_and_deepstack() -> None:
    assert vision_output_bytes(output(3)) == 3 * 5 * 4 * 3


def test_the_least_recently_used_goes_first_when_full() -> None:
    memory = VisionMemory(max_bytes=2 * TWO_BYTES)
    memory.keep("a", output(2))
    memory.keep("b", output(2))
    assert memory.find("a") is not None
    memory.keep("c", output(2))
    assert memory.find("b") is None
    assert memory.find("a") is not None
    assert (len(memory), memory.nbytes) == (2, 2 * TWO_BYTES)


def test_keeping_again_is_a_use_and_counts_once() -> None:
    memory = VisionMemory(max_bytes=2 * TWO_BYTES)
    for digest in ("a", "b", "a", "c"):
        memory.keep(digest, output(2))
    assert memory.find("b") is None
    assert memory.nbytes == 2 * TWO_BYTES


def test_a_picture_over_the_limit_is_not_kept_and_costs_no_other() -> None:
    memory = VisionMemory(max_bytes=TWO_BYTES)
    memory.keep("small", output(2))
    memory.keep("big", output(20))
    assert memory.find("big") is None
    assert memory.find("small") is not None


def test_released_bytes_are_the_least_recently_used() -> None:
    memory = VisionMemory(max_bytes=10_000)
    for digest in ("a", "b", "c"):
        memory.keep(digest, output(2))
    assert memory.release(TWO_BYTES + 1) == 2 * TWO_BYTES
    assert (len(memory), memory.nbytes) == (1, TWO_BYTES)
    memory.drop_all()
    assert (len(memory), memory.nbytes, memory.release(1)) == (0, 0, 0)
