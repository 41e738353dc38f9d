"""Shared beginnings: what counts as shared, who is forked, and who goes when room is short."""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.kv import prefix
from edge.kv.buffers import STEP_TOKENS
from edge.kv.layer import LayerMemory, RowMemory
from edge.kv.plain import PlainMemory
from edge.kv.prefix import MIN_SHARED_TOKENS, PrefixKey, PrefixPool, SpanKey, fork_first, shared_tokens

PICTURE = (7, 7, 7, 7)
SYSTEM = list(range(100, 140))
STEP_BYTES = 2 * STEP_TOKENS * 4


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
        ([1, 2], [], 0),
    ],
)
def test_the_shared_prefix_leaves_at_least_one_token(kept: list[int], wanted: list[int], expected: int) -> None:
    assert shared_tokens(key(kept), key(wanted)) == expected


def test_the_same_picture_is_shared() -> None:
    assert shared_tokens(with_picture("cat"), with_picture("cat", tail=(5, 9, 9))) == 7


def test_another_picture_of_the_same_size_is_not_shared() -> None:
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


def row(wanted: PrefixKey, num_tokens: int | None = None) -> list[LayerMemory]:
    """Memories of two layers whose keys are the token ids and whose values their negatives."""
    ids = mx.array(wanted.token_ids[:num_tokens], dtype=mx.float32).reshape(1, 1, -1, 1)
    memories: list[LayerMemory] = [PlainMemory(), PlainMemory()]
    for memory in memories:
        memory.append(mx.concatenate([ids, -ids], axis=1))
    return memories


def ids_in(memories: RowMemory) -> list[int]:
    per_layer = [np.array(m.state[0])[:, 0].ravel().astype(int).tolist() if m.state else [] for m in memories]
    assert all(ids == per_layer[0] for ids in per_layer)
    return list(per_layer[0])


def pool(*turns: Sequence[int], max_bytes: int = 10**9, max_entries: int = 4) -> PrefixPool:
    kept = PrefixPool(max_bytes=max_bytes, max_entries=max_entries)
    for ids in turns:
        kept.keep(key(ids), row(key(ids)))
    return kept


def kept_ids(kept: PrefixPool) -> list[list[int]]:
    return [ids_in(memories) for _, memories in kept._entries]


def test_three_continuations_of_one_turn_each_reuse_all_of_it() -> None:
    turn = [*SYSTEM, 1, 2, 3]
    kept = pool(turn)
    found = [kept.find(key([*turn, 50 + number, 60])) for number in range(3)]
    assert [(ids_in(hit[0]), hit[1]) for hit in found if hit is not None] == [(turn, len(turn))] * 3
    assert kept_ids(kept) == [turn]


def test_a_fork_goes_on_without_its_source_seeing_it() -> None:
    kept = pool(SYSTEM)
    hit = kept.find(key([*SYSTEM, 9, 9]))
    assert hit is not None
    for memory in hit[0]:
        memory.append(mx.array([9.0, -9.0]).reshape(1, 2, 1, 1))
    assert ids_in(hit[0]) == [*SYSTEM, 9]
    assert kept_ids(kept) == [SYSTEM]


def test_a_running_row_is_a_source_and_goes_on_undisturbed() -> None:
    at_work = key([*SYSTEM, 1, 2, 3, 4])
    memories = row(at_work)
    hit = pool(SYSTEM[:20]).find(key([*SYSTEM, 1, 2, 9, 9]), running=[(at_work, memories)])
    assert hit is not None
    assert (ids_in(hit[0]), hit[1]) == ([*SYSTEM, 1, 2], 42)
    assert ids_in(memories) == [*SYSTEM, 1, 2, 3, 4]


def test_only_what_a_running_row_has_computed_is_shared() -> None:
    wanted = key([*SYSTEM, 1, 2])
    hit = pool().find(wanted, running=[(wanted, row(wanted, 30))])
    assert hit is not None
    assert (ids_in(hit[0]), hit[1]) == (SYSTEM[:30], 30)
    assert pool().find(wanted, running=[(wanted, [PlainMemory()]), (wanted, [])]) is None


def test_a_running_row_inside_a_picture_shares_what_stands_before_it() -> None:
    picture = key([*SYSTEM, *PICTURE, 5], SpanKey(40, 4, "cat", 0))
    hit = pool().find(picture, running=[(picture, row(picture, 42))])
    assert hit is not None
    assert hit[1] == 40


def test_the_longest_shared_prefix_is_found() -> None:
    kept = pool([*SYSTEM, 1, 2, 3], [*SYSTEM, 9])
    hit = kept.find(key([*SYSTEM, 1, 2, 3, 4]))
    assert hit is not None
    assert hit[1] == 43


@pytest.mark.parametrize(("num_shared", "is_found"), [(MIN_SHARED_TOKENS - 1, False), (MIN_SHARED_TOKENS, True)])
def test_a_few_common_tokens_are_computed_again(num_shared: int, is_found: bool) -> None:
    hit = pool(SYSTEM).find(key([*SYSTEM[:num_shared], 1, 2]))
    assert (hit is not None) == is_found


def test_a_short_fork_of_a_long_turn_does_not_hold_its_buffers() -> None:
    turn = list(range(10 * STEP_TOKENS))
    hit = pool(turn).find(key([*turn[:20], 1]))
    assert hit is not None
    assert prefix.row_bytes(hit[0]) == 2 * STEP_BYTES


def test_a_short_fork_leaves_its_source_to_write_in_place() -> None:
    memory = PlainMemory()
    memory.append(mx.zeros((1, 16, 40 * STEP_TOKENS - 10, 64)))
    mx.eval(memory.state)
    fork = fork_first([memory], 20)
    one = mx.ones((1, 16, 1, 64))
    mx.eval(one)
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    memory.append(one)
    mx.eval(memory.state)
    assert mx.get_peak_memory() - before < memory.nbytes / 100
    assert fork[0].num_tokens == 20


def test_a_turn_is_cut_to_what_its_memories_hold() -> None:
    kept = pool()
    kept.keep(key([*SYSTEM, 1, 2]), row(key([*SYSTEM, 1, 2]), 41))
    kept.keep(key([9, *SYSTEM]), row(key([9, *SYSTEM, 8, 8])))
    assert kept_ids(kept) == [[*SYSTEM, 1], [9, *SYSTEM]]
    assert [len(held.token_ids) for held, _ in kept._entries] == [41, 41]


def test_a_turn_ended_inside_a_picture_is_kept_up_to_it() -> None:
    picture = key([*SYSTEM, *PICTURE, 5], SpanKey(40, 4, "cat", 0))
    kept = pool()
    kept.keep(picture, row(picture, 42))
    assert kept_ids(kept) == [SYSTEM]
    assert kept.digests() == set()
    kept.keep(picture, row(picture))
    assert kept.digests() == {"cat"}
    assert len(kept) == 1


def test_the_least_recently_used_go_over_the_bytes_but_the_newest_stays() -> None:
    one = 2 * STEP_BYTES
    kept = pool([1, *SYSTEM], [2, *SYSTEM], max_bytes=2 * one)
    assert kept.nbytes == 2 * one
    assert kept.find(key([1, *SYSTEM, 5])) is not None
    kept.keep(key([3, *SYSTEM]), row(key([3, *SYSTEM])))
    assert kept_ids(kept) == [[1, *SYSTEM], [3, *SYSTEM]]
    large = [4] * (3 * STEP_TOKENS)
    kept.keep(key(large), row(key(large)))
    assert kept_ids(kept) == [large]


def test_the_oldest_goes_when_there_are_too_many() -> None:
    assert kept_ids(pool([1], [2], [3], max_entries=2)) == [[2], [3]]


def test_a_longer_turn_replaces_the_one_it_continues_and_a_shorter_one_adds_nothing() -> None:
    kept = pool([1, 2, 3], [8], [1, 2, 3, 4])
    assert kept_ids(kept) == [[8], [1, 2, 3, 4]]
    kept.keep(key([8]), row(key([8])))
    kept.keep(key([1, 2]), row(key([1, 2])))
    assert kept_ids(kept) == [[8], [1, 2, 3, 4]]


def test_released_bytes_are_the_least_recently_used() -> None:
    kept = pool([1], [2], [3])
    one = kept.nbytes // 3
    assert kept.release(one + 1) == 2 * one
    assert kept_ids(kept) == [[3]]
    assert kept.release(10**9) == one
    assert kept.release(1) == 0


def test_everything_can_be_dropped() -> None:
    kept = pool([1], [2])
    kept.drop_all()
    assert (len(kept), kept.nbytes, kept.digests()) == (0, 0, set())


@st.composite
def prompts(draw: st.DrawFn) -> PrefixKey:
    """Prompts over few tokens, pictures and positions, so that many share a beginning."""
    ids: list[int] = []
    spans: list[SpanKey] = []
    for part in draw(st.lists(st.sampled_from(["1", "12", "2", "cat", "dog"]), max_size=6)):
        if part.isdigit():
            ids += [int(digit) for digit in part]
        else:
            spans.append(SpanKey(len(ids), 3, part, 0))
            ids += [7, 7, 7]
    made = key(ids, *spans)
    return PrefixKey(made.token_ids, made.positions + draw(st.integers(0, 1)) * (np.arange(len(ids)) > 4), made.spans)


def marks(wanted: PrefixKey) -> list[tuple[object, ...]]:
    """All that a token's keys and values depend on, beside the tokens before it."""
    media = {index: (span.digest, index - span.start) for span in wanted.spans for index in range(span.start, span.end)}
    rows = zip(wanted.token_ids.tolist(), wanted.positions.T.tolist(), strict=True)
    return [(token, *position, media.get(index)) for index, (token, position) in enumerate(rows)]


def expected_shared(kept: PrefixKey, wanted: PrefixKey) -> int:
    """Count by the definition: the longest equal beginning that cuts no picture."""
    limit = min(len(kept.token_ids), len(wanted.token_ids) - 1)
    return max(
        size
        for size in range(max(limit, 0) + 1)
        if marks(kept)[:size] == marks(wanted)[:size] and not any(s.start < size < s.end for s in wanted.spans)
    )


@given(kept=prompts(), wanted=prompts())
@settings(max_examples=300, deadline=None)
def test_shared_tokens_are_those_of_the_definition(kept: PrefixKey, wanted: PrefixKey) -> None:
    assert shared_tokens(kept, wanted) == expected_shared(kept, wanted)


@given(turns=st.lists(prompts(), max_size=6), wanted=prompts())
@settings(max_examples=100, deadline=None)
def test_the_pool_finds_the_best_turn_and_gives_its_tokens(turns: list[PrefixKey], wanted: PrefixKey) -> None:
    kept = PrefixPool(max_bytes=10**9, max_entries=100)
    for turn in turns:
        kept.keep(turn, row(turn))
    best = max((expected_shared(turn, wanted) for turn in turns), default=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefix, "MIN_SHARED_TOKENS", 1)
        hit = kept.find(wanted)
    assert (hit[1] if hit else 0) == best
    assert (ids_in(hit[0]) if hit else []) == wanted.token_ids[:best].tolist()
