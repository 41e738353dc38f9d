"""A second model that guesses: right or wrong, the answers stay the same; one of another vocabulary is refused."""

from __future__ import annotations

from functools import cache
from typing import Any

import mlx.core as mx
import pytest

from edge.checkpoint.build import build_model
from edge.limits import EngineLimits
from edge.model.qwen3vl import Qwen3VL
from edge.run.build import seeing_draft
from edge.run.draft import DraftRow
from edge.run.sample import SamplingParams
from tests.unit.checkpoint.checkpoints import random_parameters
from tests.unit.run.engines import Outlet, bare_loop, drain
from tests.unit.run.guessing import FreeCosts
from tests.unit.run.tiny import GREEDY, picture_prompt, prompt_of, take, tiny_config, tiny_model

TALK = prompt_of([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
DRAWN = SamplingParams(temperature=0.7, seed=5)


@cache
def other_model() -> Qwen3VL:
    """A model of the same sizes that agrees with the tiny one in most things: its head is a little off."""
    parameters = random_parameters(tiny_config())
    name = "language_model.lm_head.weight"
    noise = mx.random.normal(parameters[name].shape, key=mx.random.key(3))
    return build_model(tiny_config(), {}, (parameters | {name: parameters[name] + 0.1 * noise}).items())


def draft_row(prompt: Any, model: Qwen3VL) -> DraftRow:  # Any: a Prompt
    row = seeing_draft(model).start(prompt)
    while not row.is_ready:
        row.advance()
    return row


def test_a_draft_guesses_its_own_greedy_answer() -> None:
    right = take(picture_prompt(), 12)
    row = draft_row(picture_prompt(), tiny_model())
    assert row.guess(right[:1], 3) == right[1:4]
    assert row.guess(right[:5], 4) == right[5:9]


def test_what_was_guessed_wrongly_is_taken_back() -> None:
    right = take(picture_prompt(), 12)
    row = draft_row(picture_prompt(), tiny_model())
    for start in range(1, 6):
        row.guess([*right[:start], 50], 3)  # an answer that takes another way
        row.guess([*right[:start], 50, 51], 2)
        assert row.guess(right[: start + 1], 3) == right[start + 1 : start + 4]


@pytest.mark.parametrize(
    ("model", "kv_bits"),
    [
        pytest.param(other_model, None, id="another"),
        pytest.param(other_model, 8, id="another-8", marks=pytest.mark.long),
        pytest.param(tiny_model, None, id="itself", marks=pytest.mark.long),
        pytest.param(tiny_model, 8, id="itself-8", marks=pytest.mark.long),
    ],
)
def test_answers_with_a_draft_are_those_without(model: Any, kv_bits: Any) -> None:  # Any: a maker, an option
    loop = bare_loop(tiny_model(), EngineLimits(kv_bits=kv_bits), draft=seeing_draft(model()))
    loop.costs = FreeCosts()
    cases = [(prompt, params) for prompt in (TALK, picture_prompt()) for params in (GREEDY, DRAWN)]
    outlets = [Outlet.of(loop, prompt, max_tokens=14, sampling=params) for prompt, params in cases]
    drain(loop)
    found = [outlet.tokens for outlet in outlets]
    assert found == [take(prompt, 14, params=params, kv_bits=kv_bits) for prompt, params in cases]
    used = [outlet.finish.usage for outlet in outlets]
    assert sum(usage.accepted_tokens for usage in used) > 3
    if model is other_model:
        assert sum(usage.accepted_tokens for usage in used) < sum(usage.guessed_tokens for usage in used)


def test_the_model_as_its_own_draft_is_always_right() -> None:
    loop = bare_loop(tiny_model(), EngineLimits(), draft=seeing_draft(tiny_model()))
    loop.costs = FreeCosts()
    outlet = Outlet.of(loop, picture_prompt(), max_tokens=24)
    drain(loop)
    assert outlet.finish.usage.accepted_tokens == outlet.finish.usage.guessed_tokens > 12


def test_a_draft_sees_a_picture_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    encode = Qwen3VL.encode_vision

    def noted(self: Qwen3VL, *arguments: Any) -> Any:
        seen.append(1)
        return encode(self, *arguments)

    monkeypatch.setattr(Qwen3VL, "encode_vision", noted)
    draft = seeing_draft(tiny_model())
    for _ in range(2):
        row = draft.start(picture_prompt())
        while not row.is_ready:
            row.advance()
    assert len(seen) == len(picture_prompt().media)


def test_what_a_draft_remembers_is_planned() -> None:
    alone = bare_loop(tiny_model(), EngineLimits())
    with_draft = bare_loop(tiny_model(), EngineLimits(), draft=seeing_draft(tiny_model()))
    assert with_draft._parts.planner.token_bytes == 2 * alone._parts.planner.token_bytes
    assert with_draft.memory_use().weight_bytes == 2 * alone.memory_use().weight_bytes
