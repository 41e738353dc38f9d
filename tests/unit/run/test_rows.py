"""Rows under constraints and in random schedules: each row's tokens are those of its single run."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from edge.errors import RequestError
from edge.events import TokenEvent
from edge.run.forward import decode_rows
from edge.run.job import Job
from edge.run.loop import Loop
from edge.run.sample import SamplingParams
from edge.run.speculate import Guesser
from tests.unit.run.constraints import Alternating, NewlinesThenAlternating
from tests.unit.run.engines import LetterTokenizer, Outlet, drain, make_loop_of_tiny
from tests.unit.run.guessing import FreeCosts, Knowing, give_guessers
from tests.unit.run.tiny import GREEDY, begin, continued, picture, picture_prompt, prompt_of, take

TALK = prompt_of([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20])
THOUGHT = replace(TALK, text="<|im_start|>assistant\n<think>\n")


def test_a_constraint_rules_its_row_and_no_other() -> None:
    loop = make_loop_of_tiny()
    bound = Outlet.of(loop, TALK, max_tokens=12, constraint=Alternating())
    free = Outlet.of(loop, TALK, max_tokens=12)
    drain(loop)
    assert free.tokens == take(TALK, 12)
    assert [token > 40 for token in bound.tokens] == [False, True] * 6


def test_a_constraint_rules_the_answer_and_never_the_thought() -> None:
    loop = make_loop_of_tiny()
    outlet = Outlet.of(loop, THOUGHT, max_tokens=20, thinking_budget=4, constraint=NewlinesThenAlternating())
    drain(loop)
    free = take(THOUGHT, 4)
    closing = LetterTokenizer().encode("\n</think>\n\n")
    assert outlet.tokens[: 4 + len(closing)] == [*free, *closing]
    answer = outlet.tokens[4 + len(closing) :]
    assert [token > 40 for token in answer] == [False, True, False, True, False][: len(answer)]
    assert len(answer) == 5


def test_a_constraint_that_fails_ends_its_row_alone() -> None:
    class Broken(Alternating):
        def accept(self, token_id: int) -> None:
            raise RequestError("grammar: too complex here.", field="grammar")

    loop = make_loop_of_tiny()
    bad = Outlet.of(loop, TALK, max_tokens=12, constraint=Broken())
    good = Outlet.of(loop, TALK, max_tokens=12)
    drain(loop)
    assert "too complex" in str(bad.error)
    assert good.tokens == take(TALK, 12)


def test_logprobs_are_those_of_the_logits() -> None:
    loop = make_loop_of_tiny()
    outlet = Outlet.of(loop, TALK, max_tokens=3, top_logprobs=2)
    drain(loop)
    _, logits = begin(TALK)
    right = np.array(logits - mx.logsumexp(logits))
    first = next(event for event in outlet.events if isinstance(event, TokenEvent))
    best = np.argsort(-right)[:2]
    assert first.token_id == best[0]
    assert first.logprob == pytest.approx(right[best[0]], rel=1e-5)
    assert [token for token, _ in first.top_logprobs] == best.tolist()
    assert [value for _, value in first.top_logprobs] == pytest.approx(right[best].tolist(), rel=1e-5)


# Random schedules -------------------------------------------------------------------------------------------------

PROMPTS = [
    picture_prompt(),
    picture_prompt(seed=5),
    TALK,
    continued(TALK, [30, 31]),
    continued(TALK, [32]),
    continued(picture_prompt(), [40, 41, 42]),
    prompt_of([9]),
    prompt_of([4], picture((1, 6, 4), seed=3), [5, 6, 7, 8]),
    THOUGHT,
]
PARAMS = [
    GREEDY,
    SamplingParams(temperature=1.2, seed=11),
    SamplingParams(temperature=0.8, top_p=0.9, top_k=7, seed=3),
    SamplingParams(temperature=0.0, repetition_penalty=1.3, frequency_penalty=0.4),
]
LONGEST = 18
Settings = tuple[int, int, bool, int | None]
_SINGLE: dict[tuple[Settings, int, int | None], list[int]] = {}


def start(loop: Loop, settings: Settings, max_tokens: int) -> Outlet:
    """Add a job: prompt, sampling, whether a constraint rules it, thinking budget."""
    prompt, params, is_bound, budget = settings
    return Outlet.of(
        loop,
        PROMPTS[prompt],
        max_tokens=max_tokens,
        sampling=PARAMS[params],
        thinking_budget=budget if budget is None or budget < max_tokens else None,
        constraint=NewlinesThenAlternating() if is_bound else None,
    )


def single_run(settings: Settings, max_tokens: int, kv_bits: int | None) -> list[int]:
    """The run of a job alone in its loop; where a thought ends may depend on the tokens that may follow."""
    key = (settings, max_tokens, kv_bits)
    if key not in _SINGLE:
        loop = make_loop_of_tiny(kv_bits=kv_bits)
        outlet = start(loop, settings, max_tokens)
        drain(loop)
        _SINGLE[key] = outlet.tokens
    return _SINGLE[key]


def run_schedule(seed: int, monkeypatch: pytest.MonkeyPatch | None = None) -> int:
    """Let requests join, leave and be cancelled at random, and compare each with its single run.

    With a monkeypatch most rows guess tokens, rightly and wrongly; returns how many guesses were right.
    """
    draw = random.Random(seed)
    guessers: dict[Job, Guesser] = {}
    kv_bits = draw.choice([None, 8])
    loop = make_loop_of_tiny(chunk_tokens=draw.choice([3, 7, 16, 64]), max_rows=draw.choice([2, 3, 8]), kv_bits=kv_bits)
    if monkeypatch is not None:
        loop.costs = FreeCosts()
        give_guessers(monkeypatch, guessers)
    started: list[tuple[Outlet, list[int]]] = []
    for _ in range(draw.randint(3, 8)):
        prompt, params = draw.randrange(len(PROMPTS)), draw.randrange(len(PARAMS))
        settings = (prompt, params, draw.random() < 0.3, draw.choice([None, None, 0, 3]))
        max_tokens = draw.randint(1, LONGEST) if settings[3] is None else draw.randint(5, LONGEST)
        alone = single_run(settings, max_tokens, kv_bits)
        started.append((start(loop, settings, max_tokens), alone))
        if draw.random() < 0.7:
            guessers[started[-1][0].job] = Knowing(alone, seed=seed)
        for _ in range(draw.randint(0, 6)):
            loop.turn()
        if draw.random() < 0.25:
            draw.choice(started)[0].job.cancel.set()
    drain(loop)
    for outlet, alone in started:
        assert outlet.tokens == alone[: len(outlet.tokens)]
        assert outlet.finish.reason in ("length", "cancelled")
        assert outlet.finish.reason == "cancelled" or len(outlet.tokens) == outlet.job.request.max_tokens
    assert loop.num_rows == 0
    return sum(guesser.num_right for guesser in guessers.values())


@pytest.mark.parametrize("seed", range(40))
def test_rows_of_random_schedules_equal_their_single_runs(seed: int) -> None:
    run_schedule(seed)


@pytest.mark.parametrize("seed", range(6))
def test_guessing_rows_of_random_schedules_equal_their_single_runs(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_schedule(seed, monkeypatch) > 0


@pytest.mark.long
@pytest.mark.parametrize("seed", range(6, 300))
def test_guessing_rows_of_many_random_schedules_equal_their_single_runs(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_schedule(seed, monkeypatch)


@pytest.mark.parametrize(
    ("target", "broken"),
    [
        ("edge.run.row.Row._drop_unread", lambda row: None),
        pytest.param("edge.run.sample.Sampler.restore", lambda sampler, state: None, marks=pytest.mark.long),
        pytest.param("edge.run.step.Row.count_pending", lambda row: None, marks=pytest.mark.long),
    ],
    ids=["wrong guesses stay in memory", "the sampler stays ahead", "tokens are not counted"],
)
def test_a_fault_in_taking_back_guesses_would_be_noticed(
    target: str, broken: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(4):
        run_schedule(seed)  # the single runs are kept before anything is broken
    monkeypatch.setattr(target, broken)
    with pytest.raises(AssertionError):
        any(run_schedule(seed, monkeypatch) < 0 for seed in range(4))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(40, 300))
def test_rows_of_many_random_schedules_equal_their_single_runs(seed: int) -> None:
    run_schedule(seed)


def test_a_single_run_is_what_one_forward_after_the_other_gives() -> None:
    for prompt in (0, 2, 7):
        for params in range(len(PARAMS)):
            found = single_run((prompt, params, False, None), LONGEST, None)
            assert found == take(PROMPTS[prompt], LONGEST, params=PARAMS[params])


def test_a_row_that_saw_its_neighbours_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def exchanged(model: Any, tokens: Any, positions: Any, memories: Any) -> mx.array:
        return decode_rows(model, tokens, positions, memories)[::-1]

    monkeypatch.setattr("edge.run.step.decode_rows", exchanged)
    loop = make_loop_of_tiny()
    outlets = [Outlet.of(loop, prompt, max_tokens=24) for prompt in (TALK, picture_prompt())]
    drain(loop)
    assert outlets[0].tokens != take(TALK, 24)
