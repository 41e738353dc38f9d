from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any

import pytest

from edge.errors import ContextLengthError, MemoryPlanError
from edge.events import Event, FinishEvent, ProgressEvent, PromptEvent, ReasoningEvent, TextEvent
from edge.run.sample import SamplingParams
from edge.settings import GenerationSettings
from tests.unit.run.engines import ask, engine, next_turn, request, tokens_of
from tests.unit.run.tiny import picture, picture_prompt, prompt_of, tiny_config, tiny_model


def test_a_stream_is_the_prompt_then_pieces_then_the_end() -> None:
    events = list(engine().stream(request(picture_prompt())))
    assert isinstance(events[0], PromptEvent)
    assert [use.num_tokens for use in events[0].media] == [6, 12]
    kinds = [type(event) for event in events[1:-1]]
    assert kinds == sorted(kinds, key=[ProgressEvent, TextEvent].index)
    assert set(kinds) == {ProgressEvent, TextEvent}
    assert isinstance(events[-1], FinishEvent)
    assert events[-1].reason == "length"


def test_progress_goes_up_to_its_total_in_each_stage() -> None:
    events = list(engine(chunk_tokens=7).stream(request(picture_prompt())))
    progress = [event for event in events if isinstance(event, ProgressEvent)]
    blocks, length = 2 * tiny_config().vision.depth, len(picture_prompt().token_ids)
    seen = [event.done for event in progress if event.stage == "vision"]
    filled = [event.done for event in progress if event.stage == "prefill"]
    assert [event.stage for event in progress] == ["vision"] * len(seen) + ["prefill"] * len(filled)
    assert {event.total for event in progress} == {blocks, length}
    assert (seen, filled) == (sorted(set(seen)), [*range(7, length, 7), length])
    assert seen[-1] == blocks


def test_statistics_count_tokens_and_times() -> None:
    prompt = picture_prompt()
    usage = ask(engine(), prompt).usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (len(prompt.token_ids), 8)
    assert (usage.cached_tokens, usage.vision_runs) == (0, 2)
    assert usage.prefill_s > 0
    assert usage.decode_tokens_per_s > 0
    assert usage.peak_bytes > 0


def test_a_second_turn_prefills_its_new_tokens_only_and_the_tower_does_not_run() -> None:
    given, prompt = engine(), picture_prompt()
    first = ask(given, prompt)
    second = ask(given, next_turn(prompt, first)).usage
    # The last token of an answer that ran out was never fed.
    assert second.cached_tokens == len(prompt.token_ids) + 7
    assert second.vision_runs == 0
    assert given.vision_runs == 2


def test_greedy_tokens_on_a_kept_cache_equal_those_without() -> None:
    given, prompt = engine(), picture_prompt()
    for _ in range(4):
        answer = ask(given, prompt)
        assert answer.text == ask(engine(), prompt).text
        prompt = next_turn(prompt, answer)
    assert given.vision_runs == 2


def test_another_picture_of_the_same_size_is_answered_anew() -> None:
    given = engine()
    first = ask(given, picture_prompt(seed=0))
    other = ask(given, picture_prompt(seed=5))
    assert other.text == ask(engine(), picture_prompt(seed=5)).text
    assert other.text != first.text
    assert other.usage.cached_tokens <= picture_prompt().spans[0].start


def test_a_picture_seen_before_is_not_encoded_again_and_gives_the_same_tokens() -> None:
    given = engine(kept_turns=1)
    first = ask(given, picture_prompt())
    ask(given, prompt_of([60, 61, 62]))
    again = ask(given, picture_prompt())
    assert again.usage.cached_tokens == 0
    assert again.usage.vision_runs == 0
    assert again.text == first.text


def test_a_picture_used_twice_in_a_prompt_runs_the_tower_once() -> None:
    cat = picture((1, 4, 6))
    assert ask(engine(), prompt_of([1], cat, [2], cat, [3])).usage.vision_runs == 1


def test_two_interleaved_streams_equal_two_separate_ones() -> None:
    prompts = [picture_prompt(seed=0), picture_prompt(seed=5), prompt_of([1, 2, 3, 4, 5])]
    alone = [ask(engine(), prompt).text for prompt in prompts]
    given = engine()
    streams = [given.stream(request(prompt)) for prompt in prompts]
    assert interleaved_texts(streams) == alone


def interleaved_texts(streams: Sequence[Iterator[Event]]) -> list[str]:
    """Take one event of each stream after the other, until all have ended."""
    texts = [""] * len(streams)
    for events in zip_longest(*streams):
        texts = [text + text_of(event) for text, event in zip(texts, events, strict=True)]
    return texts


def text_of(event: Event | None) -> str:
    return event.text if isinstance(event, TextEvent | ReasoningEvent) else ""


def test_interleaved_streams_keep_their_own_sampling() -> None:
    given, prompt = engine(), picture_prompt()
    params = [SamplingParams(temperature=1.5, seed=seed) for seed in (1, 2)]
    alone = [ask(engine(), prompt, sampling=p).text for p in params]
    assert interleaved_texts([given.stream(request(prompt, sampling=p)) for p in params]) == alone
    assert alone[0] != alone[1]


def test_a_stream_left_early_leaves_a_whole_prefix() -> None:
    given, prompt = engine(), picture_prompt()
    expected = ask(engine(), prompt).text
    with given.stream(request(prompt, max_tokens=200)) as stream:
        for event in stream:
            if isinstance(event, TextEvent):
                break
    again = ask(given, prompt)
    assert again.text == expected
    assert again.usage.cached_tokens == len(prompt.token_ids) - 1


def test_a_cancelled_answer_keeps_what_was_written() -> None:
    given, prompt, cancel = engine(), picture_prompt(), threading.Event()
    events: list[Event] = []
    for event in given.stream(request(prompt, cancel=cancel, max_tokens=400)):
        events.append(event)
        if isinstance(event, TextEvent):
            cancel.set()
    finish = events[-1]
    assert isinstance(finish, FinishEvent)
    assert finish.reason == "cancelled"
    assert 0 < finish.usage.completion_tokens < 400
    assert ask(given, prompt).text == ask(engine(), prompt).text


def test_a_cancel_before_the_start_runs_nothing() -> None:
    given, cancel = engine(), threading.Event()
    cancel.set()
    answer = ask(given, picture_prompt(), cancel=cancel)
    assert (answer.finish.reason, answer.usage.completion_tokens) == ("cancelled", 0)
    assert given.vision_runs == 0


def test_a_cancel_during_prefill_stops_between_chunks_and_keeps_what_was_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given, prompt, cancel = engine(chunk_tokens=20), picture_prompt(), threading.Event()
    forward = type(tiny_model()).__call__

    def forward_and_cancel(*arguments: Any, **values: Any) -> object:  # Any: whatever the model takes
        cancel.set()
        return forward(*arguments, **values)

    with monkeypatch.context() as patch:
        patch.setattr(type(tiny_model()), "__call__", forward_and_cancel)
        answer = ask(given, prompt, cancel=cancel)
    assert (answer.finish.reason, answer.usage.completion_tokens) == ("cancelled", 0)
    again = ask(given, prompt)
    # Twenty tokens were computed; the last of them are in a video, which is not shared in part.
    assert again.usage.cached_tokens == prompt.spans[1].start == 18
    assert again.text == ask(engine(), prompt).text


def test_a_failure_inside_the_model_is_raised_and_leaves_no_broken_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    given, prompt = engine(), picture_prompt()
    with monkeypatch.context() as patch:
        patch.setattr(type(tiny_model()), "__call__", broken_forward)
        with pytest.raises(ZeroDivisionError, match="broken"):
            ask(given, prompt)
    again = ask(given, prompt)
    assert again.usage.cached_tokens == 0
    assert again.text == ask(engine(), prompt).text


def broken_forward(*_: object, **__: object) -> None:
    raise ZeroDivisionError("broken")


def test_every_end_token_of_config_and_generation_config_stops() -> None:
    prompt = picture_prompt()
    tokens = tokens_of(ask(engine(), prompt))
    first_at = tokens.index(tokens[3])
    for given in (engine(eos=tokens[3]), engine(generation=GenerationSettings(eos_token_ids=(1, tokens[3])))):
        answer = ask(given, prompt)
        assert answer.finish.reason == "stop"
        assert answer.finish.stop is None
        assert tokens_of(answer) == tokens[:first_at]


def test_a_stop_string_ends_the_answer_before_it() -> None:
    prompt = picture_prompt()
    text = ask(engine(), prompt).text
    answer = ask(engine(), prompt, stop=[text[3:5]])
    assert answer.text == text[: text.index(text[3:5])]
    assert (answer.finish.reason, answer.finish.stop) == ("stop", text[3:5])


def test_a_thinking_prompt_streams_reasoning_and_without_an_end_has_no_answer() -> None:
    prompt = replace(picture_prompt(), text="<|im_start|>assistant\n<think>\n")
    answer = ask(engine(), prompt, answer_tokens=0)
    assert answer.text == ""
    assert len(answer.reasoning) > 0
    assert answer.finish.reason == "length"
    assert answer.usage.reasoning_tokens == 8


@pytest.mark.parametrize("budget", [0, 3])
def test_after_the_thinking_budget_an_answer_still_comes(budget: int) -> None:
    prompt = replace(picture_prompt(), text="<|im_start|>assistant\n<think>\n")
    answer = ask(engine(), prompt, max_tokens=30, thinking_budget=budget)
    free = ask(engine(), prompt, max_tokens=30)
    assert answer.reasoning == free.reasoning[:budget].rstrip("\n")
    assert len(answer.text) > 0


def test_sampling_defaults_come_from_generation_config() -> None:
    settings = GenerationSettings(do_sample=True, temperature=0.8, top_p=0.95, top_k=20, repetition_penalty=1.1)
    assert engine(generation=settings).default_sampling == SamplingParams(
        temperature=0.8, top_p=0.95, top_k=20, repetition_penalty=1.1
    )
    assert engine(generation=GenerationSettings(do_sample=False, temperature=0.8)).default_sampling.is_greedy


def test_a_prompt_longer_than_the_context_is_refused_with_numbers() -> None:
    prompt = picture_prompt()
    with pytest.raises(ContextLengthError, match=rf"{len(prompt.token_ids)} tokens \(18 of pictures.*holds 30"):
        engine(context_tokens=30).stream(request(prompt))


def test_an_answer_that_may_outgrow_the_context_is_refused() -> None:
    with pytest.raises(ContextLengthError, match="600 may follow; the context holds 512"):
        engine().stream(request(picture_prompt(), max_tokens=600))


def test_without_max_tokens_the_answer_ends_with_the_context() -> None:
    prompt = picture_prompt()
    answer = ask(engine(context_tokens=len(prompt.token_ids) + 5), prompt, max_tokens=None)
    assert answer.finish.reason == "length"
    assert answer.usage.completion_tokens == 5


def test_a_request_that_does_not_fit_into_memory_is_refused_before_the_model_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = engine()
    monkeypatch.setattr("edge.run.plan.available_bytes", lambda: 1000)
    monkeypatch.setattr("mlx.core.get_cache_memory", lambda: 0)
    with pytest.raises(MemoryPlanError, match="would fit"):
        next(given.stream(request(picture_prompt())))
    assert given.vision_runs == 0


def test_kept_turns_are_let_go_before_a_request_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    given, prompt = engine(), picture_prompt()
    expected = ask(given, prompt).text
    answers = iter([0, 10**12])
    monkeypatch.setattr("edge.run.plan.available_bytes", lambda: next(answers))
    monkeypatch.setattr("mlx.core.get_cache_memory", lambda: 0)
    assert ask(given, prompt).text == expected


def test_memory_is_told_by_use_beside_the_plan() -> None:
    given = engine()
    assert given.memory().plan is None
    answer = ask(given, picture_prompt())
    use = given.memory()
    assert use.weight_bytes > 0
    assert use.plan is not None
    assert use.plan.new_tokens == answer.usage.prompt_tokens + 8
    assert (use.running_bytes, use.reserved_bytes) == (0, 0)
    assert use.kept_bytes > 0
    assert use.vision_bytes > 0
    assert use.active_bytes >= use.weight_bytes + use.kept_bytes + use.vision_bytes
    assert use.planned_bytes == use.weight_bytes + use.plan.needed_bytes
