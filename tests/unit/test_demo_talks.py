"""The demo recipe's tools, talks and animations: what is packed is what the chat template writes."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import jinja2
import pytest

from examples.demo_model import animations, choosing, dialogue, held_out, prompt_text, rows, talk_checks, talk_rows
from examples.demo_model.asked.wordings import Practice
from examples.demo_model.checks import Case
from examples.demo_model.clips import Clip
from examples.demo_model.looks.canvas import SQUARE
from examples.demo_model.talks import copying, declarations, free_tools, in_a_row, refusals, results
from examples.demo_model.talks import turns as talks

TEMPLATE = Path(rows.__file__).parent / "chat_template.jinja"
ONE_VIDEO = "<|vision_start|><|video_pad|><|vision_end|>"


@pytest.fixture(scope="module")
def template() -> jinja2.Template:
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8"))


def render(template: jinja2.Template, case: Case) -> str:
    text = template.render(messages=case.messages, tools=case.tools, add_generation_prompt=True)
    return text.replace("<|vision_start|><|image_pad|><|vision_end|>", prompt_text.IMAGE)


@pytest.mark.parametrize("seed", range(12))
def test_every_step_of_two_calls_is_packed_as_the_chat_template_writes_it(seed: int, template: jinja2.Template) -> None:
    rng = random.Random(seed)
    first, second, text = in_a_row.two_uses(rng)
    tools = in_a_row.offer(rng, [first, second])
    for step in in_a_row.two_calls(rng, first, second, text, tools):
        packed = prompt_text.offer_text(tools) + prompt_text.USER + step.context()
        assert render(template, talk_checks.loop_case(step, tools)) == packed


@pytest.mark.parametrize("seed", range(20))
def test_a_talk_is_packed_as_the_chat_template_writes_it(seed: int, template: jinja2.Template) -> None:
    talk = talks.random_talk(random.Random(seed))
    question = talk.ask(random.Random(seed))
    row = talk_rows.row_of_talk(random.Random(0), talk, noise=0.0)
    packed = row.prefix + question.text + prompt_text.ASSISTANT
    video = r"(?:<\d\.\d seconds><\|vision_start\|>(?:<\|video_pad\|>){16}<\|vision_end\|>)+"
    packed = re.sub(video, ONE_VIDEO, packed)
    assert render(template, talk_checks.talk_case(talk, question)) == packed


def test_a_talk_has_at_most_six_turns_three_pictures_and_one_clip() -> None:
    made = [talks.random_talk(random.Random(seed)) for seed in range(300)]
    assert {len(talk.turns) for talk in made} == {1, 2, 3, 4, 5}
    counts = [[isinstance(shown, Clip) for shown in talk.all_shown()] for talk in made]
    assert max(sum(count) for count in counts) == 1
    assert max(len(count) - sum(count) for count in counts) == 3


@pytest.mark.parametrize("family", list(free_tools.FAMILIES))
def test_an_answer_says_only_what_the_result_or_the_question_says(family: str) -> None:
    for seed in range(80):
        rng = random.Random(seed)
        use = free_tools.random_use(rng, family)
        told, said = results.random_result(rng, use)
        known = f"{told} {use.text}".lower()
        names = re.findall(r"-?\d[\d:.]*\d|\b[A-Z][a-z]+\b", said.removesuffix("."))
        own = {"It", "Done", "The", "I"}
        assert all(name.lower() in known for name in names if name not in own), (told, said)


def test_a_call_has_the_parameters_that_the_tool_declares() -> None:
    use = free_tools.random_use(random.Random(1), "message")
    assert list(use.arguments) == use.tool["function"]["parameters"]["required"]
    assert str(use.arguments[next(iter(use.arguments))]) in use.text


def test_the_thought_before_a_call_names_the_tools_on_offer_and_how_many_calls_it_takes() -> None:
    rng = random.Random(4)
    first, second, text = in_a_row.two_uses(rng)
    tools = in_a_row.offer(rng, [first, second])
    names = ", ".join(tool["function"]["name"] for tool in tools)
    keys = ", ".join(first.arguments)
    one = in_a_row.one_call(rng, first, tools)[0].answer.thought
    two = in_a_row.two_calls(rng, first, second, text, tools)[0].answer.thought
    assert one == f"Tools: {names}. One call. I call {first.name} with {keys}."
    assert two == f"Tools: {names}. Two calls. I call {first.name} with {keys}."


def test_tools_on_offer_have_different_names_and_hold_the_needed_ones() -> None:
    for seed in range(100):
        rng = random.Random(seed)
        first, second, _ = in_a_row.two_uses(rng)
        names = [tool["function"]["name"] for tool in in_a_row.offer(rng, [first, second])]
        assert len(set(names)) == len(names) <= 4
        assert {first.name, second.name} <= set(names)


def test_an_answer_that_copies_stands_in_its_question() -> None:
    for seed in range(200):
        for ask in (copying.repeat, copying.look_up):
            question = ask(random.Random(seed))
            assert question.answer in question.text


def test_sorting_names_tells_each_colour_or_shape_that_is_named_once() -> None:
    for seed in range(200):
        question = copying.sort_out(random.Random(seed))
        named, steps = (question.thought or "").removesuffix(".").split(". ")
        told = re.findall(r"\w+", re.sub(r"\b(I see|an?|and)\b", "", question.answer))
        assert told == [word for word, there in (step.split() for step in steps.split(", ")) if there == "yes"]
        assert set(told) == {word for word in named.replace(",", "").split() if word in steps}


def test_an_adorned_declaration_means_the_same() -> None:
    tool = dialogue.declare("send", "Send a message", to="string", minutes="integer")
    seen = set()
    for seed in range(200):
        (other,) = declarations.adorned(random.Random(seed), [tool])
        function, given = other["function"], other["function"]["parameters"]
        assert (function["name"], function["description"]) == ("send", "Send a message")
        assert {key: field["type"] for key, field in given["properties"].items()} == {
            "to": "string",
            "minutes": "integer",
        }
        assert given.get("required", ["to", "minutes"]) == ["to", "minutes"]
        seen.add(json.dumps(other))
    assert len(seen) > 40
    assert json.dumps(tool) in seen


def test_refusals_for_testing_have_other_wordings_and_topics() -> None:
    seen = {refusals.refusal(random.Random(seed)).text for seed in range(800)}
    unseen = {refusals.refusal(random.Random(seed), unseen=True).text for seed in range(200)}
    assert not seen & unseen
    assert {refusals.refusal(random.Random(seed)).answer for seed in range(50)} == {dialogue.CANNOT}


def test_the_second_of_an_animation_is_the_whole_part_of_the_time_before_its_pair() -> None:
    for seed in range(100):
        animation = animations.random_animation(random.Random(seed))
        shows = [animation.thing in second.things for _, _, second in animation.pairs]
        times = [float(f"{time:.1f}") for time, _, _ in animation.pairs]
        assert animation.seconds[-1] == int(times[shows.index(True)])
        assert not shows[0]


def test_an_animation_has_frames_held_unevenly_and_pairs_that_change_within() -> None:
    made = [animations.random_animation(random.Random(seed)) for seed in range(200)]
    gaps = [{round(b - a, 3) for a, b in zip(one.times_s, one.times_s[1:], strict=False)} for one in made]
    assert sum(len(gap) > 1 for gap in gaps) > 20
    assert sum(first != second for one in made for _, first, second in one.pairs) > 50


def test_beside_tools_most_questions_need_none_and_some_need_one() -> None:
    row = rows.ROWS["offered"](Practice(3), 0.0, choosing.WEIGHTS, SQUARE)
    assert row.prefix.startswith("<|im_start|>system\n# Tools")
    assert row.seen
    calls = [question.answer.startswith("<tool_call>") for _, question in (next(row.questions) for _ in range(200))]
    assert 10 < sum(calls) < 60


@pytest.mark.parametrize("task", list(held_out.TASKS))
def test_the_right_answer_of_a_held_out_case_passes_its_check_and_another_fails(task: str) -> None:
    made = held_out.cases(task, 12)
    assert all(case.check(case.expected) for case in made)
    assert not all(case.check("I see a green pentagon.") for case in made)


@pytest.mark.parametrize("kind", list(rows.ROWS))
def test_every_row_gives_questions_that_fit_its_lanes(kind: str) -> None:
    row = rows.ROWS[kind](random.Random(2), 0.0, choosing.WEIGHTS, SQUARE)
    shown = row.prefix.count("<|vision_start|>")
    assert shown == len(row.seen)
    assert rows.LANES[kind] == 0 or next(row.questions)[1].answer
