from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pytest

from edge.cache.prefix import PrefixKey, PrefixPool, SpanKey, shared_tokens

PICTURE = (7, 7, 7, 7)


def key(ids: Sequence[int], *spans: SpanKey) -> PrefixKey:
    token_ids = np.array(ids, dtype=np.int32)
    positions = np.broadcast_to(np.arange(len(ids), dtype=np.int32), (3, len(ids)))
    return PrefixKey(token_ids, positions, spans)


def with_picture(digest: str, *, tail: Sequence[int] = (5, 6), media_offset: int = 0) -> PrefixKey:
    return key([1, 2, *PICTURE, *tail], SpanKey(2, 4, digest, media_offset))


@pytest.mark.parametrize(
    ("kept", "wanted", "expected"),
    [
        ([1, 2, 3], [1, 2, 3, 4], 3),
        ([1, 2, 3, 4, 5], [1, 2, 3, 9, 9], 3),
        ([1, 2, 3], [1, 2, 3], 2),
        ([1, 2, 3, 4], [1, 2], 1),
        ([1, 2, 3], [9, 2, 3], 0),
        ([1], [1], 0),
        ([], [1, 2], 0),
    ],
)
def test_the_shared_prefix_leaves_at_least_one_token(kept: list[int], wanted: list[int], expected: int) -> None:
    assert shared_tokens(key(kept), key(wanted)) == expected


def test_the_same_picture_is_shared() -> None:
    assert shared_tokens(with_picture("cat"), with_picture("cat", tail=(5, 9, 9))) == 7


def test_another_picture_of_the_same_size_is_not_shared_peers_4() -> None:
    assert shared_tokens(with_picture("cat"), with_picture("dog")) == 2


def test_another_part_of_the_same_video_is_not_shared() -> None:
    assert shared_tokens(with_picture("film"), with_picture("film", media_offset=4)) == 2


def test_a_prefix_never_ends_inside_a_span() -> None:
    cut_off = key([1, 2, 7, 7], SpanKey(2, 4, "cat", 0))
    assert shared_tokens(cut_off, with_picture("cat")) == 2
    assert shared_tokens(with_picture("cat"), key([1, 2, *PICTURE], SpanKey(2, 4, "cat", 0))) == 2


def test_equal_ids_with_other_positions_are_not_shared() -> None:
    kept, wanted = key([1, 2, 3, 4]), key([1, 2, 3, 4])
    moved = PrefixKey(wanted.token_ids, wanted.positions + np.array([[0], [0], [1]], dtype=np.int32), ())
    assert shared_tokens(kept, moved) == 0


def test_pad_tokens_without_a_picture_do_not_match_a_picture() -> None:
    assert shared_tokens(key([1, 2, *PICTURE, 5, 6]), with_picture("cat")) == 2
    assert shared_tokens(with_picture("cat"), key([1, 2, *PICTURE, 5, 6])) == 2


def test_an_answer_continues_the_prompt_at_its_next_position() -> None:
    grown = with_picture("cat").extended([8, 9], next_position=5)
    assert grown.token_ids.tolist() == [1, 2, *PICTURE, 5, 6, 8, 9]
    assert grown.positions[:, -2:].tolist() == [[5, 6]] * 3
    assert grown.spans == with_picture("cat").spans


def test_a_turn_cut_inside_a_picture_shares_nothing_of_it() -> None:
    cut = with_picture("cat").first(4)
    assert cut.token_ids.tolist() == [1, 2, 7, 7]
    assert shared_tokens(cut, with_picture("cat")) == 2
    assert shared_tokens(with_picture("cat").first(7), with_picture("cat")) == 7


@dataclass
class FakeLayer:
    """A cache that only counts its tokens."""

    size: int

    @property
    def nbytes(self) -> int:
        return self.size

    def trim(self, num_tokens: int) -> int:
        self.size -= num_tokens
        return num_tokens

    def copy(self) -> Self:
        return replace(self)


def pool(*, max_bytes: int = 1000, max_entries: int = 4) -> PrefixPool[FakeLayer]:
    return PrefixPool(max_bytes=max_bytes, max_entries=max_entries)


def kept_sizes(entries: PrefixPool[FakeLayer]) -> list[int]:
    return [layers[0].size for _, layers in entries._entries]


def test_a_continued_turn_takes_its_cache_out_of_the_pool_cut_to_the_prefix() -> None:
    entries = pool()
    entries.put(key([1, 2, 3, 4, 5]), [FakeLayer(5)])
    assert entries.take(key([1, 2, 3, 4, 9, 9])) == ([FakeLayer(4)], 4)
    assert len(entries) == 0


def test_a_short_common_beginning_is_copied_and_the_other_conversation_keeps_its_cache() -> None:
    entries = pool()
    system = list(range(20))
    entries.put(key([*system, *range(100, 160)]), [FakeLayer(80)])
    assert entries.take(key([*system, 7, 8])) == ([FakeLayer(20)], 20)
    assert kept_sizes(entries) == [80]


def test_a_few_common_tokens_of_a_long_turn_are_computed_again() -> None:
    entries = pool()
    entries.put(key([1, 2, *range(100, 160)]), [FakeLayer(62)])
    assert entries.take(key([1, 2, 3])) is None


def test_the_longest_shared_prefix_is_taken() -> None:
    entries = pool()
    entries.put(key([1, 2, 3, 4, 5]), [FakeLayer(5)])
    entries.put(key([1, 2, 9]), [FakeLayer(3)])
    assert entries.take(key([1, 2, 3, 4, 5, 6])) == ([FakeLayer(5)], 5)


def test_nothing_shared_gives_nothing() -> None:
    entries = pool()
    assert entries.take(key([1, 2])) is None
    entries.put(key([3, 4]), [FakeLayer(2)])
    assert entries.take(key([1, 2])) is None


def test_the_oldest_go_when_the_pool_is_over_its_bytes_but_the_newest_stays() -> None:
    entries = pool(max_bytes=10)
    entries.put(key([1] * 4), [FakeLayer(4)])
    entries.put(key([2] * 5), [FakeLayer(5)])
    entries.put(key([3] * 6), [FakeLayer(6)])
    assert kept_sizes(entries) == [6]
    entries.put(key([4] * 50), [FakeLayer(50)])
    assert kept_sizes(entries) == [50]


def test_the_oldest_goes_when_there_are_too_many() -> None:
    entries = pool(max_entries=2)
    for token in (1, 2, 3):
        entries.put(key([token] * token), [FakeLayer(token)])
    assert kept_sizes(entries) == [2, 3]


def test_a_longer_turn_replaces_the_one_it_continues() -> None:
    entries = pool()
    entries.put(key([1, 2, 3]), [FakeLayer(3)])
    entries.put(key([1, 2, 3, 4]), [FakeLayer(4)])
    assert kept_sizes(entries) == [4]
