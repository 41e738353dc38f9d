"""Guesses against the model: drawn answers keep their distribution, and what a row may be asked stays the same."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from edge.events import TokenEvent
from edge.run.checked import Checked, choose_checked
from edge.run.forward import decode_rows
from edge.run.job import Job
from edge.run.lookup import NO_GUESS, Guess
from edge.run.row import Row
from edge.run.sample import SamplingParams
from edge.run.speculate import Guesser
from tests.unit.run.engines import Outlet, drain, make_loop_of_tiny
from tests.unit.run.guessing import FreeCosts, Knowing, give_guessers
from tests.unit.run.tiny import GREEDY, begin, picture_prompt, prompt_of, take

TALK = prompt_of([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
TOP_K = 2
FEW_DRAWS, MANY_DRAWS = 160, 1600
# What a chi-square of 3 degrees of freedom exceeds once in 100,000 times.
MOST_CHI_SQUARE = 25.9


class Fixed(Guesser):
    """Guesses the same tokens behind the first one, whatever that is."""

    def __init__(self, token_ids: Sequence[int]) -> None:
        super().__init__(np.array([1, 2], dtype=np.int32), barred=frozenset(), most=3)
        self._fixed = tuple(token_ids)

    def look(self, answer_ids: Sequence[int], pending: int | None, *, most: int, least: int = 2) -> Guess:
        return NO_GUESS if answer_ids else Guess(((0,) if pending is None else ()) + self._fixed, 8)


def probabilities(logits: mx.array) -> dict[int, float]:
    """The kept tokens and their probabilities under top-k."""
    best = np.argsort(-np.array(logits))[:TOP_K]
    weights = np.exp(np.array(logits)[best] - np.max(np.array(logits)))
    return dict(zip(best.tolist(), (weights / weights.sum()).tolist(), strict=True))


def after(token_ids: list[int]) -> mx.array:
    """Logits after some generated tokens."""
    memory, logits = begin(TALK)
    for place, token_id in enumerate(token_ids):
        logits = decode_rows(make_model(), [mx.array([token_id])], [TALK.next_position + place], [memory])[0]
    return logits


def make_model() -> Any:  # Any: the tiny model
    from tests.unit.run.tiny import tiny_model

    return tiny_model()


def chi_square(monkeypatch: pytest.MonkeyPatch, draws: int) -> float:
    """Draw many answers with guesses; how far are the second and third token from the model's probabilities?"""
    first = max(probabilities(after([])), key=probabilities(after([])).__getitem__)
    seconds = probabilities(after([first]))
    thirds = {second: probabilities(after([first, second])) for second in seconds}
    expected = {(a, b): seconds[a] * thirds[a][b] for a in seconds for b in thirds[a]}
    likely = max(seconds, key=seconds.__getitem__)
    guess = (likely, min(thirds[likely], key=thirds[likely].__getitem__))  # likely right, then likely wrong
    loop = make_loop_of_tiny(max_rows=16)
    loop.costs = FreeCosts()
    outlets = [
        Outlet.of(loop, TALK, max_tokens=4, sampling=SamplingParams(temperature=1.0, top_k=TOP_K, seed=seed))
        for seed in range(draws)
    ]
    give_guessers(monkeypatch, {outlet.job: Fixed(guess) for outlet in outlets})
    drain(loop)
    assert sum(outlet.finish.usage.accepted_tokens for outlet in outlets) > draws // 10
    drawn = Counter(tuple(outlet.tokens[1:3]) for outlet in outlets if outlet.tokens[0] == first)
    assert set(drawn) <= set(expected)
    total = drawn.total()
    return sum((drawn[pair] - total * share) ** 2 / (total * share) for pair, share in expected.items())


@pytest.mark.parametrize("draws", [FEW_DRAWS, pytest.param(MANY_DRAWS, marks=pytest.mark.long)])
def test_drawn_answers_keep_their_distribution(draws: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert chi_square(monkeypatch, draws) < MOST_CHI_SQUARE


@pytest.mark.long
def test_guesses_taken_too_often_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def credulous(row: Row, logits: mx.array) -> Checked:
        """Take every other guess without asking."""
        checked = choose_checked(row, logits)
        for step, guessed in zip(checked.steps, row.guess.token_ids, strict=False):
            if (row.sampler.params.seed or 0) % 2:
                step.token = mx.array([guessed], dtype=mx.int32)
        return checked

    monkeypatch.setattr("edge.run.step.choose_checked", credulous)
    assert chi_square(monkeypatch, MANY_DRAWS) > MOST_CHI_SQUARE


@pytest.mark.parametrize("params", [GREEDY, SamplingParams(temperature=1.1, seed=4)], ids=["greedy", "drawn"])
@pytest.mark.parametrize("kv_bits", [None, 8])
def test_logprobs_are_told_for_guessed_tokens_too(
    params: SamplingParams, kv_bits: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    for most in (0, 3):
        loop = make_loop_of_tiny(kv_bits=kv_bits)
        loop.costs = FreeCosts()
        outlet = Outlet.of(loop, picture_prompt(), max_tokens=20, top_logprobs=3, sampling=params)
        guesser = Knowing(take(picture_prompt(), 20, params=params, kv_bits=kv_bits), seed=1, most=most, mistakes=0.2)
        give_guessers(monkeypatch, {outlet.job: guesser})
        drain(loop)
        assert (outlet.finish.usage.accepted_tokens > 5) == (most > 0)
        told.append([event for event in outlet.events if isinstance(event, TokenEvent)])
    for alone, guessed in zip(*told, strict=True):
        assert alone.token_id == guessed.token_id
        assert guessed.logprob == pytest.approx(alone.logprob, abs=2e-5)
        assert [token for token, _ in guessed.top_logprobs] == [token for token, _ in alone.top_logprobs]


def test_a_step_with_guesses_that_fails_is_run_again_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any) -> list[mx.array]:
        raise RuntimeError("no room for a wide step")

    monkeypatch.setattr("edge.run.step.check_rows", failing)
    loop = make_loop_of_tiny()
    loop.costs = FreeCosts()
    outlet = Outlet.of(loop, TALK, max_tokens=12)
    give_guessers(monkeypatch, {outlet.job: Knowing(take(TALK, 12), seed=0)})
    drain(loop)
    assert outlet.tokens == take(TALK, 12)


def test_a_guesser_that_fails_costs_its_row_the_guesses_only(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = make_loop_of_tiny()
    loop.costs = FreeCosts()
    outlets = [Outlet.of(loop, TALK, max_tokens=12) for _ in range(2)]
    bad, good = (Knowing(take(TALK, 12), seed=seed) for seed in range(2))
    monkeypatch.setattr(bad, "fulfil", lambda *_: 1 // 0)
    give_guessers(monkeypatch, {outlets[0].job: bad, outlets[1].job: good})
    drain(loop)
    assert [outlet.tokens for outlet in outlets] == [take(TALK, 12)] * 2
    assert [outlet.finish.usage.accepted_tokens > 0 for outlet in outlets] == [False, True]


def test_a_row_that_ends_within_its_guesses_keeps_what_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    right = take(TALK, 20)
    stop = chr(32 + right[6])
    loop = make_loop_of_tiny()
    loop.costs = FreeCosts()
    outlet = Outlet.of(loop, TALK, max_tokens=20, stop=[stop])
    give_guessers(monkeypatch, {outlet.job: Knowing(right, seed=0, mistakes=0.0)})
    drain(loop)
    count = right.index(right[6]) + 1
    assert outlet.tokens == right[:count]
    assert outlet.finish.stop == stop
    (key, memory), *_ = loop._parts.kept.entries
    assert key.token_ids.tolist() == [*TALK.token_ids.tolist(), *right[:count]][: len(key.token_ids)]
    assert {layer.num_tokens for layer in memory} == {len(key.token_ids)}


def test_what_a_guessing_row_leaves_is_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = make_loop_of_tiny()
    loop.costs = FreeCosts()
    jobs: dict[Job, Guesser] = {}
    give_guessers(monkeypatch, jobs)
    first = Outlet.of(loop, TALK, max_tokens=10)
    jobs[first.job] = Knowing(take(TALK, 10), seed=3)
    drain(loop)
    longer = prompt_of(list(itertools.chain(TALK.token_ids.tolist(), first.tokens, [40, 41])))
    second = Outlet.of(loop, longer, max_tokens=10)
    jobs[second.job] = Knowing(take(longer, 10), seed=4)
    drain(loop)
    assert second.prompt.cached_tokens >= len(TALK.token_ids) + 8
    assert second.tokens == take(longer, 10)
