from __future__ import annotations

import random
from typing import Any

import pytest

from edge.errors import RequestError
from edge.events import TokenEvent
from edge.request import Request
from edge.run.thought import BRIDGE, plan_thought
from tests.unit.run.guessing import FreeCosts, Knowing, give_guessers
from tests.unit.run.scripted import END, THINK_END, Stage, Talk, thinking_script

WORDS = ["the", "picture", "shows", "a", "red", "circle", "beside", "two", "squares", "under", "one", "line"]
MANNERS = ("never ends", "closes by itself", "ends inside", "says nothing", "ends and says nothing", "half a tag")
CASES = 500


def play(stage: Stage, case: int) -> Talk:
    """Queue one request with a random thought, manner, budget and length."""
    chance = random.Random(case)
    manner = MANNERS[case % len(MANNERS)]
    thought = stage.encode(" ".join(chance.choices(WORDS, k=60)))
    at = chance.randint(0, 40)
    gap = stage.encode("\n\n")[0]
    if manner == "closes by itself":
        thought[at] = THINK_END
    if "ends" in manner and manner != "never ends":
        thought[at] = END
    if manner == "half a tag":
        thought[at : at + 2] = stage.encode("</th")
    silent = "says nothing" in manner
    if silent:
        thought[at] = THINK_END if manner == "says nothing" else END
    answer = [END, *stage.encode("Four.")] if silent else stage.encode("There are four.")
    max_tokens = chance.choice([None, *range(1, 13), 20, 40, 60, 90])
    budget = chance.choice([None, 0, 1, 2, 3, 5, 8, 13, 30, 50])
    if budget is not None and max_tokens is not None:
        budget = min(budget, max_tokens - 1)
    if max_tokens is None and budget is None:
        max_tokens = 64
    kept = chance.choice([None, None, 1, 5])
    if kept is not None and max_tokens is not None:
        kept = None if kept >= max_tokens else kept
    script = thinking_script(thought, answer, gap=gap)
    return stage.add(
        f"Case {case}?", script, max_tokens=max_tokens, thinking_budget=budget, answer_tokens=kept, token_ids=True
    )


@pytest.mark.parametrize("cases", [range(6), pytest.param(range(6, CASES), marks=pytest.mark.long)])
def test_thoughts_are_closed_at_the_same_token_when_tokens_are_guessed(
    cases: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, guessing = Stage(), Stage()
    alone = [play(plain, case) for case in cases]
    plain.run()
    guessing.loop.costs = FreeCosts()
    guessed = [play(guessing, case) for case in cases]
    give_guessers(
        monkeypatch,
        {new.job: Knowing(old.tokens, seed=len(old.tokens)) for new, old in zip(guessed, alone, strict=True)},
    )
    guessing.run()
    assert [told(talk) for talk in guessed] == [told(talk) for talk in alone]
    assert sum(talk.answer.usage.accepted_tokens for talk in guessed) > 2 * len(cases)


def told(talk: Talk) -> tuple[object, ...]:
    """All an answer tells but times: tokens, thought, text, notes, end."""
    answer = talk.answer
    tokens = tuple(event for event in talk.events if isinstance(event, TokenEvent))
    return (*tokens, answer.reasoning, answer.text, *talk.notes, answer.finish_reason)


@pytest.mark.long
def test_an_answer_follows_every_thought_at_every_budget() -> None:
    stage = Stage()
    talks = [play(stage, case) for case in range(CASES)]
    stage.run()
    silent = [case for case, talk in enumerate(talks) if not talk.answer.text.strip()]
    assert silent == []
    for talk in talks:
        answer, limit = talk.answer, talk.request.max_tokens
        assert "<think>" not in answer.text
        assert "</think>" not in answer.text
        assert limit is None or answer.usage.completion_tokens <= limit
        if talk.request.thinking_budget is not None:
            closing = len(stage.encode(BRIDGE + "</think>\n\n"))
            assert answer.usage.reasoning_tokens <= talk.request.thinking_budget + closing


@pytest.mark.parametrize("case", [0, 2, 3, 4])
def test_a_request_that_keeps_nothing_for_the_answer_may_get_none(case: int) -> None:
    stage = Stage()
    thought = stage.encode(" ".join(WORDS * 3))
    if case > 1:
        thought[7] = END if case % 2 == 0 else THINK_END
    script = thinking_script(thought, [END, END], gap=stage.encode("\n\n")[0])
    talk = stage.add("Quiet?", script, max_tokens=40, answer_tokens=0)
    stage.run()
    assert talk.answer.text.strip() == ""


def test_a_budget_of_zero_is_the_templates_own_empty_thought() -> None:
    stage = Stage()
    script = thinking_script([5], stage.encode("Four."), gap=stage.encode("\n\n")[0])
    talk = stage.add("How many?", script, thinking_budget=0)
    stage.run()
    turns = [{"role": "user", "content": "How many?"}, {"role": "assistant", "content": "Four.<|im_end|>"}]
    whole = stage.processor.template.render(
        [turns[0], {"role": "assistant", "content": "Four."}], tools=None, add_generation_prompt=False, variables={}
    )
    assert whole.startswith(talk.prompt_text + "Four.")
    assert (talk.answer.text, talk.answer.reasoning) == ("Four.", "")
    assert talk.answer.usage.completion_tokens == len(stage.encode("Four.")) + 1


def test_at_the_budget_a_bridging_sentence_ends_the_thought() -> None:
    stage = Stage()
    thought = stage.encode(" ".join(WORDS))
    talk = stage.add("How many?", thinking_script(thought, stage.encode("Four."), gap=271), thinking_budget=9)
    stage.run()
    assert talk.answer.reasoning == stage.processor.tokenizer.decode(thought[:9]) + BRIDGE.rstrip()
    assert talk.answer.text == "Four."
    assert talk.notes == []


def test_a_thought_closed_earlier_than_asked_is_told() -> None:
    stage = Stage()
    thought = stage.encode(" ".join(WORDS))
    talk = stage.add("How many?", thinking_script(thought, stage.encode("Four."), gap=271), max_tokens=100)
    stage.run()
    assert talk.answer.text == "Four."
    assert len(talk.notes) == 1
    assert "max_tokens" in talk.notes[0]


def test_the_end_token_inside_a_thought_is_taken_back() -> None:
    stage = Stage()
    thought = [*stage.encode("a b c"), END]
    talk = stage.add("How many?", thinking_script(thought, stage.encode("Four."), gap=271), token_ids=True)
    stage.run()
    assert talk.answer.reasoning == "a b c" + BRIDGE.rstrip()
    assert [token.token_id for token in talk.answer.tokens].count(END) == 1
    assert talk.answer.text == "Four."


def test_where_memory_ends_the_thought_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    monkeypatch.setattr("edge.run.plan.Planner.grow", lambda *_: False)
    chance = random.Random(1)
    thought = stage.encode(" ".join(chance.choices(WORDS, k=600)))
    talk = stage.add("How many?", thinking_script(thought, stage.encode("Four."), gap=271))
    stage.run()
    assert talk.answer.text == "Four."
    assert talk.answer.finish.reason == "stop"
    assert "memory" in talk.notes[0]


def test_a_schema_rules_the_answer_after_a_closed_thought() -> None:
    stage = Stage()
    thought = stage.encode(" ".join(WORDS))
    script = thinking_script(thought, stage.encode('{"n": 4}'), gap=271)
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    talk = stage.add("How many?", script, schema=schema, thinking_budget=4, max_tokens=80)
    stage.run()
    assert talk.answer.text == '{"n": 4}'


@pytest.mark.parametrize("values", [{"thinking_budget": 5}, {"answer_tokens": 5}, {"answer_tokens": 9}])
def test_what_leaves_no_answer_or_no_thought_is_refused(values: dict[str, Any]) -> None:  # Any: fields of Request
    with pytest.raises(RequestError, match="Lower it"):
        Request(messages=[], max_tokens=5, **values)


def test_the_plan_keeps_what_is_asked_for_the_answer() -> None:
    request = Request(messages=[], max_tokens=200, answer_tokens=100)
    thought = plan_thought(request, max_tokens=200, encode=lambda text: [0] * (30 if "long" in text else 3))
    progress = type("Progress", (), {"is_reasoning": True, "reasoning_tokens": 69})()
    assert thought.next_forced(progress) is None
    progress.reasoning_tokens = 70
    assert thought.next_forced(progress) == 0
