"""Rows of one loop: whatever else runs, comes or goes, each row's tokens are those of its single run."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from edge.events import NoteEvent, ProgressEvent
from edge.memory import SPARE_BYTES, plan_request, precision_for
from edge.model.types import VisionOutput
from edge.run.forward import decode_rows
from edge.run.loop import Loop
from edge.run.sample import SamplingParams
from tests.unit.run.engines import Outlet, drain, make_loop_of_tiny
from tests.unit.run.tiny import (
    GREEDY,
    continued,
    picture,
    picture_prompt,
    prompt_of,
    take,
    tiny_config,
    tiny_model,
)

TALK = prompt_of([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20])


def test_unlike_rows_together_give_the_tokens_of_their_single_runs() -> None:
    prompts = [picture_prompt(), TALK, prompt_of([4], picture((1, 6, 4), seed=3), [5, 6, 7, 8])]
    loop = make_loop_of_tiny(chunk_tokens=7)
    outlets = [Outlet.of(loop, prompt, max_tokens=12) for prompt in prompts]
    drain(loop)
    assert [outlet.tokens for outlet in outlets] == [take(prompt, 12) for prompt in prompts]


def test_the_longest_row_leaves_first_and_the_others_go_on_unchanged() -> None:
    loop = make_loop_of_tiny()
    long, *short = [Outlet.of(loop, p, max_tokens=n) for p, n in ((picture_prompt(), 3), (TALK, 9), (TALK, 14))]
    drain(loop)
    assert long.tokens == take(picture_prompt(), 3)
    assert [one.tokens for one in short] == [take(TALK, 9), take(TALK, 14)]


def test_rows_with_seeds_keep_their_own_sampling_in_one_batch() -> None:
    params = [SamplingParams(temperature=1.3, seed=1), SamplingParams(temperature=0.9, top_k=5, seed=2), GREEDY]
    loop = make_loop_of_tiny()
    outlets = [Outlet.of(loop, TALK, max_tokens=10, sampling=p) for p in params]
    steps = count_steps(loop)
    assert [outlet.tokens for outlet in outlets] == [take(TALK, 10, params=p) for p in params]
    assert max(steps) == 3


def count_steps(loop: Loop) -> list[int]:
    """Drain a loop and return how many rows each decode step had."""
    sizes: list[int] = []

    def noted(model: Any, tokens: Any, positions: Any, memories: Any) -> mx.array:
        sizes.append(len(tokens))
        return decode_rows(model, tokens, positions, memories)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edge.run.step.decode_rows", noted)
        drain(loop)
    return sizes


def test_penalties_count_each_token_once() -> None:
    params = SamplingParams(temperature=0.0, repetition_penalty=1.4, frequency_penalty=0.7, presence_penalty=0.3)
    loop = make_loop_of_tiny()
    outlets = [Outlet.of(loop, picture_prompt(), max_tokens=12, sampling=params), Outlet.of(loop, TALK, max_tokens=20)]
    drain(loop)
    assert outlets[0].tokens == take(picture_prompt(), 12, params=params)


def test_three_continuations_of_one_turn_each_reuse_all_of_it() -> None:
    loop = make_loop_of_tiny()
    first = Outlet.of(loop, picture_prompt(), max_tokens=8)
    drain(loop)
    turns = [continued(continued(picture_prompt(), first.tokens), [40 + i, 41, 42]) for i in range(3)]
    outlets = [Outlet.of(loop, prompt, max_tokens=6) for prompt in turns]
    drain(loop)
    # The last token of an answer that ran out was never fed.
    assert [one.prompt.cached_tokens for one in outlets] == [len(picture_prompt().token_ids) + 7] * 3
    assert [one.tokens for one in outlets] == [take(prompt, 6) for prompt in turns]


def test_a_running_row_lends_its_prefix_and_goes_on() -> None:
    loop = make_loop_of_tiny()
    first = Outlet.of(loop, picture_prompt(), max_tokens=30)
    while len(first.tokens) < 5:
        loop.turn()
    second = Outlet.of(loop, continued(picture_prompt(), [40, 41]), max_tokens=6)
    drain(loop)
    assert second.prompt.cached_tokens == len(picture_prompt().token_ids)
    assert first.tokens == take(picture_prompt(), 30)
    assert second.tokens == take(continued(picture_prompt(), [40, 41]), 6)


def test_equal_pictures_of_two_rows_are_seen_once() -> None:
    loop = make_loop_of_tiny()
    cat = picture((1, 4, 6))
    outlets = [Outlet.of(loop, prompt_of([i], cat, [7, 8]), max_tokens=4) for i in (1, 2)]
    drain(loop)
    assert loop.vision_runs == 1
    assert [one.tokens for one in outlets] == [take(prompt_of([i], cat, [7, 8]), 4) for i in (1, 2)]


def test_equal_frames_at_other_times_are_seen_once() -> None:
    loop = make_loop_of_tiny()
    early = picture((2, 6, 4), kind="video")
    late = replace(early, digest="the same frames at other times")
    outlets = [Outlet.of(loop, prompt_of([1], one, [7, 8]), max_tokens=4) for one in (early, late)]
    drain(loop)
    assert loop.vision_runs == 1
    assert [outlet.prompt.cached_tokens for outlet in outlets] == [0, 0]
    assert outlets[0].tokens == outlets[1].tokens == take(prompt_of([1], early, [7, 8]), 4)


def test_decoding_rows_get_a_token_in_every_turn_of_a_long_prefill() -> None:
    loop = make_loop_of_tiny(chunk_tokens=4)
    talking = Outlet.of(loop, TALK, max_tokens=100)
    while not talking.tokens:
        loop.turn()
    late = Outlet.of(loop, picture_prompt(), max_tokens=2)
    gaps = []
    while not late.tokens:
        before = len(talking.tokens)
        loop.turn()
        gaps.append(len(talking.tokens) - before)
    assert len(gaps) > 8
    assert set(gaps) == {1}


def test_a_prompt_alone_is_read_in_long_slices_and_beside_others_in_short_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.run.loop.SHARED_CHUNK_TOKENS", 5)
    long = prompt_of([40 - place % 40 for place in range(43)])
    turns = []
    for neighbours in (0, 1):
        loop = make_loop_of_tiny(chunk_tokens=20)
        others = [Outlet.of(loop, TALK, max_tokens=100) for _ in range(neighbours)]
        while not all(one.tokens for one in others):
            loop.turn()
        read = Outlet.of(loop, long, max_tokens=2)
        turns.append(0)
        while not read.tokens:
            loop.turn()
            turns[-1] += 1
    assert turns == [3, 9]  # 43 tokens, 20 at a time and 5 at a time


def test_a_failing_row_ends_alone() -> None:
    loop = make_loop_of_tiny()
    good = Outlet.of(loop, TALK, max_tokens=10)
    bad = Outlet.of(loop, picture_prompt(), max_tokens=10)
    while not bad.tokens:
        loop.turn()
    bad.job.emit = broken_outlet
    also_bad = Outlet.of(loop, picture_prompt(), max_tokens=10, sampling=SamplingParams(logit_bias={10**6: 1.0}))
    drain(loop)
    assert good.tokens == take(TALK, 10)
    assert "logit_bias" in str(also_bad.error)
    assert loop.num_rows == 0


def broken_outlet(*_: object) -> None:
    raise OSError("no space left on the disk")


def test_a_forward_that_fails_for_one_row_is_repeated_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = make_loop_of_tiny()
    good, bad = [Outlet.of(loop, prompt, max_tokens=12) for prompt in (TALK, picture_prompt())]
    while len(bad.tokens) < 3:
        loop.turn()
    broken = next(row for row in loop._rows if row.job is bad.job).memory

    def failing(model: Any, tokens: Any, positions: Any, memories: Any) -> mx.array:
        logits = decode_rows(model, tokens, positions, memories)
        if any(memory is broken for memory in memories):
            raise RuntimeError("broken memory")
        return logits

    monkeypatch.setattr("edge.run.step.decode_rows", failing)
    drain(loop)
    assert good.tokens == take(TALK, 12)
    assert "broken memory" in str(bad.error)


def test_a_row_ends_when_memory_for_its_answer_is_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = make_loop_of_tiny()
    outlet = Outlet.of(loop, TALK, max_tokens=None)
    while not outlet.tokens:
        loop.turn()
    monkeypatch.setattr("edge.run.plan.available_bytes", lambda: 0)
    monkeypatch.setattr("mlx.core.get_cache_memory", lambda: 0)
    drain(loop)
    assert outlet.finish.reason == "length"
    assert any(isinstance(event, NoteEvent) for event in outlet.events)
    assert outlet.tokens == take(TALK, len(outlet.tokens))


def test_spare_buffers_are_bounded_by_what_the_budget_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    bounds: list[int] = []
    monkeypatch.setattr("mlx.core.set_cache_limit", bounds.append)
    monkeypatch.setattr("mlx.core.get_cache_memory", lambda: 0)
    loop = make_loop_of_tiny()
    planner = loop._parts.planner
    for free in (10**8, 10**11):
        monkeypatch.setattr("edge.run.plan.available_bytes", lambda free=free: free)
        drain_one = Outlet.of(loop, TALK, max_tokens=2)
        drain(loop)
        assert drain_one.tokens
        assert planner.last is not None
        assert bounds[-1] == min(SPARE_BYTES, free - planner.last.needed_bytes)


def test_a_request_that_fits_later_waits_and_one_that_never_fits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = make_loop_of_tiny()
    first = Outlet.of(loop, TALK, max_tokens=30)
    loop.turn()
    planner = loop._parts.planner
    # All but twenty tokens' room for the later one, as long as the first runs.
    prompt = picture_prompt()
    grids = [media.grid_thw for media in prompt.media]
    length = len(prompt.token_ids) + 40
    needed = plan_request(
        tiny_config(),
        precision=precision_for(value_bytes=4),
        token_bytes=planner.token_bytes,
        new_tokens=length,
        context_tokens=length,
        unseen=grids,
        available=0,
    ).needed_bytes
    missing = 20 * planner.token_bytes
    monkeypatch.setattr("edge.run.plan.available_bytes", lambda: needed - missing * (loop.num_rows > 0))
    monkeypatch.setattr("mlx.core.get_cache_memory", lambda: 0)
    later = Outlet.of(loop, prompt, max_tokens=40)
    never = Outlet.of(loop, TALK, max_tokens=490)
    loop.turn()
    assert loop.num_waiting == 2
    assert any(isinstance(event, ProgressEvent) and event.stage == "queued" for event in later.events)
    drain(loop)
    assert first.tokens == take(TALK, 30)
    assert later.tokens == take(picture_prompt(), 40)
    assert "would fit" in str(never.error)


def test_more_requests_than_rows_wait_in_order() -> None:
    loop = make_loop_of_tiny(max_rows=2)
    outlets = [Outlet.of(loop, prompt_of([i, 2, 3]), max_tokens=4) for i in range(6)]
    drain(loop)
    assert [one.tokens for one in outlets] == [take(prompt_of([i, 2, 3]), 4) for i in range(6)]
    ends = [one.finish_place for one in outlets]
    assert ends == sorted(ends)


def test_memory_is_flat_while_rows_join_and_leave() -> None:
    loop = make_loop_of_tiny(max_rows=4, kept_turns=1, kept_bytes=0)

    def held_after(count: int) -> int:
        for i in range(count):
            Outlet.of(loop, prompt_of([i % 30, 2, 3]), max_tokens=3 + 2 * i)
        drain(loop)
        mx.clear_cache()
        return mx.get_active_memory()

    held = [held_after(5) for _ in range(3)]
    assert held[2] <= held[1], "what a row leaves behind would add up"


def test_a_cancel_is_heard_within_one_block_of_the_tower(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = make_loop_of_tiny()
    outlet = Outlet.of(loop, prompt_of([1], picture((1, 8, 12)), [2]), max_tokens=4)
    blocks = count_blocks(monkeypatch)
    loop.turn()
    assert len(blocks) == 1
    outlet.job.request.cancel.set()
    drain(loop)
    assert len(blocks) == 1
    assert outlet.finish.reason == "cancelled"
    assert loop.vision_runs == 0


def count_blocks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    done: list[int] = []
    right = type(tiny_model()).vision_steps

    def noted(model: Any, patches: Any, grids: Any) -> Generator[Any, None, VisionOutput]:
        steps = right(model, patches, grids)
        while True:
            try:
                hidden = next(steps)
            except StopIteration as end:
                output: VisionOutput = end.value
                return output
            done.append(1)
            yield hidden

    monkeypatch.setattr(type(tiny_model()), "vision_steps", noted)
    return done


def test_a_step_waits_for_the_device_once_after_queueing_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = make_loop_of_tiny()
    outlet = Outlet.of(loop, picture_prompt(), max_tokens=30)
    while len(outlet.tokens) < 2:
        loop.turn()
    order: list[str] = []
    queue, read = mx.async_eval, np.array

    def queue_noted(*arrays: mx.array) -> None:
        order.append("queue")
        queue(*arrays)  # type: ignore[no-untyped-call]  # MLX's stub

    def read_noted(given: object, *more: Any, **values: Any) -> np.ndarray:  # Any: whatever numpy takes
        if isinstance(given, mx.array):
            order.append("read")
        return read(given, *more, **values)

    monkeypatch.setattr(mx, "eval", lambda *_: order.append("eval"))
    monkeypatch.setattr(mx, "async_eval", queue_noted)
    monkeypatch.setattr("edge.run.row.np.array", read_noted)
    for _ in range(3):
        loop.turn()
    assert order == ["queue", "read"] * 3


def test_a_request_cancelled_while_it_waits_for_memory_still_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = make_loop_of_tiny()
    first = Outlet.of(loop, TALK, max_tokens=30)
    loop.turn()
    monkeypatch.setattr(type(loop._parts.planner), "plan", lambda *_: None)
    later = Outlet.of(loop, picture_prompt(), max_tokens=40)
    loop.turn()
    later.job.cancel.set()
    loop.turn()
    assert later.finish.reason == "cancelled"
    assert loop.num_waiting == 0
    drain(loop)
    assert first.tokens == take(TALK, 30)


def test_an_outlet_that_fails_at_an_error_ends_no_other_row(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = make_loop_of_tiny()
    good, bad = [Outlet.of(loop, prompt, max_tokens=12) for prompt in (TALK, picture_prompt())]
    while not bad.tokens:
        loop.turn()
    row = next(row for row in loop._rows if row.job is bad.job)
    monkeypatch.setattr(row, "read", broken_outlet)
    monkeypatch.setattr(bad.job, "emit", broken_outlet)
    drain(loop)
    assert good.tokens == take(TALK, 12)
