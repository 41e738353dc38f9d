"""Guessed tokens change no answer: pictures, videos, tools, schemas, many rows, packed memories, greedy and drawn."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

import edge
from edge.run.loop import Loop
from examples.demo_model.held_out import cases
from tests.unit.run.guessing import CheapCosts
from tests.unit.run.schemas import random_schema, random_tools

Told = list[tuple[Any, ...]]  # Any: fields of answers
PICTURES = ("describe", "count", "all_boxes", "as_json", "read", "compare", "video", "tool_picture")
TEXTS = ("tool", "tool_result", "in_a_row", "six_turns", "copying")


@pytest.fixture(scope="module", params=[None, pytest.param(8, marks=pytest.mark.long)], ids=["plain", "8 bits"])
def engine(request: pytest.FixtureRequest) -> Iterator[edge.Engine]:
    """The demo, on a machine where likely guesses seem to pay."""
    with edge.load(limits=edge.EngineLimits(max_rows=4, kv_bits=request.param)) as engine:
        engine._thread.call(_make_cheap)
        yield engine


def _make_cheap(loop: Loop) -> None:
    loop.costs = CheapCosts()


def held_out(task: str, number: int) -> list[edge.Request]:
    """Held-out questions, of which every third is drawn and not greedy."""
    return [
        edge.Request(
            messages=case.messages,
            tools=case.tools,
            sampling={"temperature": 0.8 if index % 3 == 0 else 0.0, "seed": index},
            max_tokens=200,
            token_ids=True,
        )
        for index, case in enumerate(cases(task, number))
    ]


def ruled(seeds: range) -> list[edge.Request]:
    """Random schemas and tools that must be called, under budgets of thought."""
    requests = []
    for seed in seeds:
        draw = random.Random(seed)
        rule: dict[str, Any] = {"schema": random_schema(draw)}  # Any: fields of Request
        if seed % 2:
            rule = {"tools": random_tools(draw), "tool_choice": "required"}
        requests.append(
            edge.Request(
                messages=[edge.user_message("Describe a scene as JSON.")],
                sampling={"temperature": 0.0},
                max_tokens=150,
                thinking_budget=8 + seed % 20,
                token_ids=True,
                **rule,
            )
        )
    return requests


def told(engine: edge.Engine, requests: list[edge.Request], *, speculate: bool) -> tuple[Told, int]:
    """What each answer says, in the order of the requests, and how many guesses were right."""
    asked = [replace(request, speculate=speculate) for request in requests]
    answers = {id(result.request): result.answer for result in engine.map(asked)}
    found: Told = []
    accepted = 0
    for request in asked:
        answer = answers[id(request)]
        assert answer is not None
        tokens = tuple(token.token_id for token in answer.tokens)
        found.append((tokens, answer.reasoning, answer.text, answer.tool_calls and len(answer.tool_calls)))
        accepted += answer.usage.accepted_tokens
    return found, accepted


def check(engine: edge.Engine, requests: list[edge.Request]) -> int:
    """Compare all answers with and without guesses; returns how many guesses were right."""
    guessed, accepted = told(engine, requests, speculate=True)
    plain, none = told(engine, requests, speculate=False)
    assert guessed == plain
    assert none == 0
    return accepted


def test_answers_about_pictures_and_texts_stay_the_same(engine: edge.Engine) -> None:
    requests = [request for task in ("all_boxes", "copying") for request in held_out(task, 2)]
    assert check(engine, requests) > 0


@pytest.mark.long
@pytest.mark.parametrize("task", [*PICTURES, *TEXTS])
def test_answers_of_every_task_stay_the_same(engine: edge.Engine, task: str) -> None:
    check(engine, held_out(task, 40))


@pytest.mark.long
def test_answers_under_rules_stay_the_same(engine: edge.Engine) -> None:
    assert check(engine, ruled(range(100, 160))) > 0
