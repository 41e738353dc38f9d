from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from edge.engine import Engine, EngineLimits
from edge.errors import MemoryPlanError, PromptError
from edge.events import Answer, Event, FinishEvent, PromptEvent, ReasoningEvent, TextEvent
from edge.generate.sampling import SamplingParams
from edge.prompt.build import Prompt
from edge.request import Request
from edge.settings import GenerationSettings
from tests.unit.generate.tiny import GREEDY, continued, picture, picture_prompt, prompt_of, tiny_config, tiny_model

NEWLINE, END = 96, 97


class LetterTokenizer:
    """Token i is the character 32 + i; 96 is a newline; all others have no text."""

    def token_bytes(self, token_id: int) -> bytes:
        return b"\n" if token_id == NEWLINE else bytes([32 + token_id]) if token_id < 91 else b""

    def is_special(self, token_id: int) -> bool:
        return token_id == END

    def encode(self, text: str) -> list[int]:
        return [NEWLINE if character == "\n" else ord(character) - 32 for character in text]


class GivenPrompts:
    """A processor whose messages carry ready prompts."""

    tokenizer = LetterTokenizer()

    def build(self, messages: Sequence[Mapping[str, Any]], *, tools: object, options: object) -> Prompt:  # Any: JSON
        prompt = messages[0]["content"]
        assert isinstance(prompt, Prompt)
        return prompt


def engine(*, eos: int = END, generation: GenerationSettings | None = None, **limits: int) -> Engine:
    return Engine(
        model=tiny_model(),
        config=replace(tiny_config(), eos_token_ids=(eos,)),
        processor=GivenPrompts(),  # type: ignore[arg-type]  # only these two members are used
        generation=generation or GenerationSettings(),
        name="tiny",
        limits=EngineLimits(**limits),
    )


def request(prompt: Prompt, *, max_tokens: int | None = 8, **values: Any) -> Request:  # Any: fields of Request
    values.setdefault("sampling", GREEDY)
    return Request(messages=[{"role": "user", "content": prompt}], max_tokens=max_tokens, **values)


def tokens_of(answer: Answer) -> list[int]:
    return LetterTokenizer().encode(answer.reasoning + answer.text)


def ask(given: Engine, prompt: Prompt, **values: Any) -> Answer:  # Any: fields of Request
    return given.answer(request(prompt, **values))


def next_turn(prompt: Prompt, answer: Answer) -> Prompt:
    return continued(continued(prompt, tokens_of(answer)), [40, 41, 42])


def test_a_stream_is_the_prompt_then_pieces_then_the_end() -> None:
    events = list(engine().stream(request(picture_prompt())))
    assert isinstance(events[0], PromptEvent)
    assert [use.num_tokens for use in events[0].media] == [6, 12]
    assert all(isinstance(event, TextEvent) for event in events[1:-1])
    assert isinstance(events[-1], FinishEvent)
    assert events[-1].reason == "length"


def test_statistics_count_tokens_and_times() -> None:
    prompt = picture_prompt()
    statistics = ask(engine(), prompt).finish.statistics
    assert (statistics.prompt_tokens, statistics.answer_tokens) == (len(prompt.token_ids), 8)
    assert (statistics.kept_tokens, statistics.vision_runs) == (0, 2)
    assert statistics.prefill_s > 0
    assert statistics.decode_tokens_per_s > 0
    assert statistics.peak_bytes > 0


def test_a_second_turn_prefills_its_new_tokens_only_and_the_tower_does_not_run_peers_26() -> None:
    given, prompt = engine(), picture_prompt()
    first = ask(given, prompt)
    second = ask(given, next_turn(prompt, first)).finish.statistics
    # The last token of an answer that ran out was never fed.
    assert second.kept_tokens == len(prompt.token_ids) + 7
    assert second.vision_runs == 0
    assert given.vision_runs == 2


def test_greedy_tokens_on_a_kept_cache_equal_those_without() -> None:
    given, prompt = engine(), picture_prompt()
    for _ in range(4):
        answer = ask(given, prompt)
        assert answer.text == ask(engine(), prompt).text
        prompt = next_turn(prompt, answer)
    assert given.vision_runs == 2


def test_another_picture_of_the_same_size_is_answered_anew_peers_4() -> None:
    given = engine()
    first = ask(given, picture_prompt(seed=0))
    other = ask(given, picture_prompt(seed=5))
    assert other.text == ask(engine(), picture_prompt(seed=5)).text
    assert other.text != first.text
    assert other.finish.statistics.kept_tokens <= picture_prompt().spans[0].start


def test_a_picture_seen_before_is_not_encoded_again_and_gives_the_same_tokens_peers_5() -> None:
    given = engine(kept_turns=1)
    first = ask(given, picture_prompt())
    ask(given, prompt_of([60, 61, 62]))
    again = ask(given, picture_prompt())
    assert again.finish.statistics.kept_tokens == 0
    assert again.finish.statistics.vision_runs == 0
    assert again.text == first.text


def test_a_picture_used_twice_in_a_prompt_runs_the_tower_once() -> None:
    cat = picture((1, 4, 6))
    assert ask(engine(), prompt_of([1], cat, [2], cat, [3])).finish.statistics.vision_runs == 1


def test_two_interleaved_streams_equal_two_separate_ones_peers_3() -> None:
    prompts = [picture_prompt(seed=0), picture_prompt(seed=5), prompt_of([1, 2, 3, 4, 5])]
    alone = [ask(engine(), prompt).text for prompt in prompts]
    given = engine()
    streams = [given.stream(request(prompt)) for prompt in prompts]
    texts = ["", "", ""]
    for _ in range(12):
        for index, stream in enumerate(streams):
            texts[index] += text_of(next(stream, None))
    assert texts == alone


def text_of(event: Event | None) -> str:
    return event.text if isinstance(event, TextEvent | ReasoningEvent) else ""


def test_interleaved_streams_keep_their_own_sampling_peers_10() -> None:
    given, prompt = engine(), picture_prompt()
    params = [SamplingParams(temperature=1.5, seed=seed) for seed in (1, 2)]
    alone = [ask(engine(), prompt, sampling=p).text for p in params]
    streams = [given.stream(request(prompt, sampling=p)) for p in params]
    texts = ["", ""]
    for _ in range(12):
        for index, stream in enumerate(streams):
            texts[index] += text_of(next(stream, None))
    assert texts == alone
    assert alone[0] != alone[1]


def test_a_stream_left_early_gives_its_cache_back_whole() -> None:
    given, prompt = engine(), picture_prompt()
    expected = ask(engine(), prompt).text
    stream = given.stream(request(prompt))
    for _ in range(4):
        next(stream)
    stream.close()  # type: ignore[attr-defined]  # a generator
    again = ask(given, prompt)
    assert again.text == expected
    assert again.finish.statistics.kept_tokens == len(prompt.token_ids) - 1


def test_a_cancelled_answer_keeps_what_was_written() -> None:
    given, prompt, cancel = engine(), picture_prompt(), threading.Event()
    events: list[Event] = []
    for event in given.stream(request(prompt, cancel=cancel)):
        events.append(event)
        if len(events) == 4:
            cancel.set()
    finish = events[-1]
    assert isinstance(finish, FinishEvent)
    assert finish.reason == "cancelled"
    assert finish.statistics.answer_tokens == 3
    assert ask(given, prompt).text == ask(engine(), prompt).text


def test_a_cancel_before_the_start_runs_nothing() -> None:
    given, cancel = engine(), threading.Event()
    cancel.set()
    answer = ask(given, picture_prompt(), cancel=cancel)
    assert (answer.finish.reason, answer.finish.statistics.answer_tokens) == ("cancelled", 0)
    assert given.vision_runs == 0


def test_a_cancel_during_prefill_stops_between_chunks_and_keeps_what_was_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given, prompt, cancel = engine(chunk_tokens=7), picture_prompt(), threading.Event()
    forward = type(tiny_model()).__call__

    def forward_and_cancel(*arguments: Any, **values: Any) -> object:  # Any: whatever the model takes
        cancel.set()
        return forward(*arguments, **values)

    with monkeypatch.context() as patch:
        patch.setattr(type(tiny_model()), "__call__", forward_and_cancel)
        answer = ask(given, prompt, cancel=cancel)
    assert (answer.finish.reason, answer.finish.statistics.answer_tokens) == ("cancelled", 0)
    again = ask(given, prompt)
    # Seven tokens were computed; the last of them is in a picture, which is not shared in part.
    assert again.finish.statistics.kept_tokens == prompt.spans[0].start == 6
    assert again.text == ask(engine(), prompt).text


def test_a_failure_inside_the_model_does_not_leave_a_broken_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    given, prompt = engine(), picture_prompt()
    stream = given.stream(request(prompt))
    next(stream)
    next(stream)
    with monkeypatch.context() as patch:
        patch.setattr(type(tiny_model()), "__call__", broken_forward)
        with pytest.raises(KeyboardInterrupt):
            list(stream)
    again = ask(given, prompt)
    assert again.finish.statistics.kept_tokens == 0
    assert again.text == ask(engine(), prompt).text


def broken_forward(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


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
    answer = ask(engine(), prompt)
    assert answer.text == ""
    assert len(answer.reasoning) > 0
    assert answer.finish.reason == "length"
    assert answer.finish.statistics.reasoning_tokens == 8


@pytest.mark.parametrize("budget", [0, 3])
def test_after_the_thinking_budget_an_answer_still_comes_peers_24(budget: int) -> None:
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
    with pytest.raises(PromptError, match=rf"{len(prompt.token_ids)} tokens \(18 of pictures.*holds 30"):
        engine(context_tokens=30).stream(request(prompt))


def test_an_answer_that_may_outgrow_the_context_is_refused() -> None:
    with pytest.raises(PromptError, match="600 may follow; the context holds 512"):
        engine().stream(request(picture_prompt(), max_tokens=600))


def test_without_max_tokens_the_answer_ends_with_the_context() -> None:
    prompt = picture_prompt()
    answer = ask(engine(context_tokens=len(prompt.token_ids) + 5), prompt, max_tokens=None)
    assert answer.finish.reason == "length"
    assert answer.finish.statistics.answer_tokens == 5


def test_a_request_that_does_not_fit_into_memory_is_refused_before_the_model_runs_peers_30(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = engine()
    monkeypatch.setattr("edge.engine.available_bytes", lambda: 1000)
    monkeypatch.setattr("mlx.core.get_cache_memory", lambda: 0)
    with pytest.raises(MemoryPlanError, match="would fit"):
        next(given.stream(request(picture_prompt())))
    assert given.vision_runs == 0


def test_kept_turns_are_let_go_before_a_request_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    given, prompt = engine(), picture_prompt()
    expected = ask(given, prompt).text
    answers = iter([0, 10**12])
    monkeypatch.setattr("edge.engine.available_bytes", lambda: next(answers))
    monkeypatch.setattr("mlx.core.get_cache_memory", lambda: 0)
    assert ask(given, prompt).text == expected
