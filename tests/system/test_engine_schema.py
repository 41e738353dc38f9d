"""Schemas and tool choices through the whole engine, on the demo checkpoint, many rows at a time."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

import edge
from tests.unit.run.schemas import random_schema, random_tools

ROWS = 8
LONGEST = 220


@pytest.fixture(scope="module")
def engine() -> Iterator[edge.Engine]:
    with edge.load(limits=edge.EngineLimits(max_rows=ROWS)) as engine:
        yield engine


def asked(seed: int, **values: Any) -> edge.Request:  # Any: fields of Request
    question = random.Random(seed).choice(["Describe a scene as JSON.", "Give me some data.", "List the shapes."])
    return edge.Request(
        messages=[{"role": "user", "content": question}],
        sampling={"temperature": 1.0, "seed": seed},
        max_tokens=LONGEST,
        thinking_budget=8 + seed % 20,
        **values,
    )


def check_schemas(engine: edge.Engine, seeds: range) -> int:
    """Answer under one random schema each; every finished answer validates. Returns how many finished."""
    schemas = {seed: random_schema(random.Random(seed)) for seed in seeds}
    finished = 0
    for result in engine.map(asked(seed, schema=schema) for seed, schema in schemas.items()):
        assert result.error is None, result.error
        assert result.answer is not None
        if result.answer.finish_reason == "stop":
            finished += 1
            jsonschema.validate(json.loads(result.answer.text), result.request.schema)
            assert result.answer.reasoning
    return finished


def check_choices(engine: edge.Engine, seeds: range, *, depth: int) -> int:
    """Force calls, required and by name in turn; each finished answer is calls alone that obey the tool's schema."""
    finished = 0
    requests = []
    for seed in seeds:
        tools = random_tools(random.Random(seed), depth=depth)
        name = random.Random(seed).choice(tools)["function"]["name"]
        requests.append(asked(seed, tools=tools, tool_choice=name if seed % 2 else "required"))
    for result in engine.map(requests):
        assert result.error is None, result.error
        assert result.answer is not None
        answer, choice = result.answer, result.request.tool_choice
        assert answer.text == "" or answer.finish_reason == "length"
        if answer.finish_reason == "length":
            continue
        finished += 1
        assert answer.finish_reason == "tool_calls"
        parameters = {t["function"]["name"]: t["function"]["parameters"] for t in result.request.tools or ()}
        for call in answer.tool_calls:
            assert choice in ("required", call.name)
            jsonschema.validate(json.loads(call.arguments), parameters[call.name])
    return finished


def test_every_finished_answer_obeys_its_schema(engine: edge.Engine) -> None:
    assert check_schemas(engine, range(8)) >= 4


def test_forced_calls_are_made(engine: edge.Engine) -> None:
    assert check_choices(engine, range(1, 5), depth=1) >= 2


@pytest.mark.long
def test_two_hundred_schemas_are_obeyed(engine: edge.Engine) -> None:
    assert check_schemas(engine, range(1000, 1200)) >= 100


@pytest.mark.long
def test_two_hundred_forced_calls_are_made(engine: edge.Engine) -> None:
    assert check_choices(engine, range(1000, 1200), depth=3) >= 100


def test_a_broken_schema_is_refused_before_anything_runs(engine: edge.Engine) -> None:
    with pytest.raises(edge.RequestError, match="schema") as caught:
        engine.ask("hi", schema={"type": "no such type"})
    assert caught.value.field == "schema"
