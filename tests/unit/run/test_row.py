from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from edge.text.repetition import MIN_REPEATS, MIN_TOKENS
from tests.unit.run.scripted import END, TURN, Script, Stage, since, thinking_script
from tests.unit.run.tiny import GREEDY


def saying(tokens: list[int], *, then: list[int]) -> Script:
    """Say these tokens after the opening of the turn, then others over and over."""

    def script(history: list[int]) -> Sequence[int]:
        place = len(since(history, TURN) or []) - 2  # "assistant" and a newline
        return (tokens[place],) if place < len(tokens) else (then[(place - len(tokens)) % len(then)],)

    return script


def random_tokens(seed: int, count: int) -> list[int]:
    return [random.Random(seed * 1000 + i).randrange(1000, 90_000) for i in range(count)]


@pytest.mark.parametrize("period", [1, 7, 200])
def test_an_answer_in_a_circle_ends_with_its_own_reason_and_one_line(period: int) -> None:
    stage = Stage("instruct")
    start, circle = random_tokens(1, 20), random_tokens(2, period)
    talk = stage.add("Read the page.", saying(start, then=circle), token_ids=True)
    stage.run()
    assert talk.answer.finish.reason == "repetition"
    assert talk.answer.usage.completion_tokens == 20 + max(MIN_REPEATS * period, MIN_TOKENS)
    assert len(talk.notes) == 1
    assert f"every {period} tokens" in talk.notes[0]


def test_a_thought_in_a_circle_is_closed_and_an_answer_follows() -> None:
    stage = Stage()
    circle = random_tokens(3, 40)
    script = thinking_script(circle, stage.encode("Four."), gap=271)
    talk = stage.add("How many?", script)
    stage.run()
    assert (talk.answer.text, talk.answer.finish.reason) == ("Four.", "stop")
    assert talk.answer.usage.reasoning_tokens < 600
    assert ["every 40 tokens" in note for note in talk.notes] == [True]


def test_without_the_guard_a_circle_goes_on_to_the_last_token() -> None:
    stage = Stage("instruct")
    talk = stage.add("Read.", saying([], then=[17]), loop_guard=False, max_tokens=700)
    stage.run()
    assert (talk.answer.finish.reason, talk.answer.usage.completion_tokens) == ("length", 700)
    assert talk.notes == []


@pytest.mark.parametrize(("regex", "reason"), [("(ab){600}", "stop"), ("(ab)*", "repetition")])
def test_under_a_grammar_only_what_it_leaves_open_is_a_circle(regex: str, reason: str) -> None:
    stage = Stage("instruct")
    a, b = stage.encode("a")[0], stage.encode("b")[0]
    talk = stage.add("Write it.", saying([], then=[a, b]), grammar={"regex": regex}, max_tokens=1300)
    stage.run()
    assert talk.answer.finish.reason == reason


def test_the_guard_changes_no_token_of_an_answer_that_ends() -> None:
    tokens = [*random_tokens(4, 30), END]
    found = []
    for guard in (True, False):
        stage = Stage("instruct")
        talk = stage.add("Read.", saying(tokens, then=[END]), loop_guard=guard, token_ids=True)
        stage.run()
        found.append([token.token_id for token in talk.answer.tokens])
    assert found == [tokens, tokens]
    assert GREEDY.repetition_penalty == 1.0
