"""What the demo recipe asks about one picture: every answer follows from the scene."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable

import pytest

from examples.demo_model import asked_checks, choosing
from examples.demo_model.asked import as_json, careful, everything, how_many, nothing, rephrased, which, yes_no
from examples.demo_model.asked.manner import spoken
from examples.demo_model.asked.wordings import Practice, Wordings, bare
from examples.demo_model.scenes import Scene, Sign, Thing
from examples.demo_model.talks import copying, free_tools, refusals
from examples.demo_model.tasks import NOTHING_KNOWN, Question

WHITE = (255, 255, 255)
MODULES = (as_json, careful, everything, how_many, nothing, rephrased, which, yes_no, copying, refusals)


def thing(shape: str, colour: str, cell: int) -> Thing:
    return Thing(shape, colour, cell, 20.0 + 43 * (cell % 3), 20.0 + 43 * (cell // 3), 30.0, (200, 30, 30))


SCENE = Scene((thing("circle", "red", 0), thing("star", "orange", 4), thing("circle", "blue", 8)), None, WHITE)
SIGN = Scene((), Sign("OPEN", "orange", 20.0, 64.0, 30.0, (20.0,) * 4, 0, (250, 140, 20)), WHITE)


def answers(maker: Callable[..., Question], scene: Scene, *, unseen: bool = False) -> dict[str, str]:
    questions = [maker(random.Random(seed), scene, unseen=unseen) for seed in range(1500)]
    return {question.text: question.answer for question in questions}


def test_every_question_has_six_wordings_for_training_and_two_others_for_testing() -> None:
    all_wordings = [value for module in MODULES for value in vars(module).values() if isinstance(value, Wordings)]
    assert len(all_wordings) >= 20
    for wordings in all_wordings:
        assert len(wordings.seen) >= 6
        assert len(wordings.unseen) >= 2
        assert not set(wordings.seen) & set(wordings.unseen)


def every_wording() -> dict[str, Wordings]:
    found = {f"{module.__name__}.{name}": value for module in MODULES for name, value in vars(module).items()}
    families = {f"tools of {name}": family.questions for name, family in free_tools.FAMILIES.items()}
    return {name: value for name, value in (found | families).items() if isinstance(value, Wordings)}


@pytest.mark.parametrize("name", every_wording())
def test_training_says_a_question_in_many_ways_and_never_in_one_kept_for_testing(name: str) -> None:
    kept = {bare(text) for wordings in every_wording().values() for text in wordings.unseen}
    wordings, rng = every_wording()[name], Practice(7)
    said = {wordings.template(rng) for _ in range(1200)}
    assert len(said) > 100
    assert not {text for text in said if bare(text) in kept}
    assert not {text for text in said - set(wordings.seen) if wordings.holds_unseen(text)}


@pytest.mark.parametrize("name", every_wording())
def test_every_manner_keeps_the_places_of_a_wording(name: str) -> None:
    wordings, rng = every_wording()[name], random.Random(3)
    for text in (*wordings.seen, *wordings.more):
        said = spoken(rng, text)
        assert re.findall(r"\{\w*\}", said) == re.findall(r"\{\w*\}", text)


def test_held_out_questions_use_no_wording_of_training_alone() -> None:
    for wordings in every_wording().values():
        rng = random.Random(5)
        assert {wordings.template(rng) for _ in range(60)} <= set(wordings.seen)
        assert not set(wordings.more) & set(wordings.unseen)


def test_a_wording_kept_for_testing_is_known_in_any_case_and_without_its_marks() -> None:
    assert yes_no.IS_THERE.holds_unseen("hey, does the image contain {a}")
    assert not yes_no.IS_THERE.holds_unseen("Does the image contain it?")


@pytest.mark.parametrize(
    ("maker", "text", "answer"),
    [
        (yes_no.yes_no, "Is there a red circle?", "Yes, there is a red circle."),
        (yes_no.yes_no, "Is there a circle?", "Yes, there are 2 circles."),
        (yes_no.yes_no, "Is there a square?", "No, there is no square."),
        (yes_no.yes_no, "Is something orange?", "Yes, there is an orange object."),
        (yes_no.yes_no, "Is there any text?", "No, there is no text."),
        (which.which_colour, "What color is the star?", "The star is orange."),
        (which.which_colour, "What color is the circle?", "The circles are red and blue."),
        (which.which_colour, "Which colors do you see?", "I see red, orange and blue."),
        (which.which_shape, "What shape is orange?", "The star is orange."),
        (which.which_shape, "What is in the center?", "An orange star is in the center."),
        (which.which_shape, "Which shapes do you see?", "I see a circle and a star."),
        (how_many.how_many, "How many red circles are there?", "There is 1 red circle."),
        (how_many.how_many, "How many circles are there?", "There are 2 circles."),
        (how_many.anything, "Is there anything in the picture?", "Yes, I see 3 objects."),
        (how_many.anything, "Is the picture empty?", "No, I see 3 objects."),
    ],
)
def test_an_answer_about_shapes_follows_from_the_scene(maker: Callable[..., Question], text: str, answer: str) -> None:
    assert answers(maker, SCENE)[text] == answer


@pytest.mark.parametrize(
    ("maker", "text", "answer"),
    [
        (yes_no.yes_no, "Is there any text?", "Yes, there is a text."),
        (which.which_colour, "What color is the text?", "The text is orange."),
        (how_many.how_many, "How many letters are there?", "There are 4 letters."),
        (how_many.anything, "Is anything there?", "Yes, I see a text."),
    ],
)
def test_an_answer_about_a_sign_follows_from_the_sign(maker: Callable[..., Question], text: str, answer: str) -> None:
    assert answers(maker, SIGN)[text] == answer


def test_every_open_question_about_nothing_known_has_the_same_answer() -> None:
    said = [nothing.about_nothing(random.Random(seed)) for seed in range(300)]
    assert {question.answer for question in said if question.kind in ("nothing", "anything")} == {NOTHING_KNOWN}
    assert {question.answer for question in said if question.kind == "describe"} == {"There is no text."}


def test_all_boxes_and_points_name_each_thing_once_in_reading_order() -> None:
    boxes = json.loads(everything.all_boxes(random.Random(0), SCENE).answer.removeprefix("```json").removesuffix("```"))
    assert [box["label"] for box in boxes] == ["red circle", "orange star", "blue circle"]
    assert boxes[0]["bbox_2d"] == [40, 40, 270, 270]
    said = everything.all_points(random.Random(0), SCENE)
    assert asked_checks.points_match(said.answer, list(SCENE.things))
    assert '{"point_2d": [160, 160], "label": "red circle"}' in said.answer


def test_a_point_outside_its_thing_is_wrong() -> None:
    right = everything.points_json(list(SCENE.things))
    assert asked_checks.points_match(right, list(SCENE.things))
    assert not asked_checks.points_match(right.replace("[160, 160]", "[160, 560]"), list(SCENE.things))
    assert not asked_checks.points_match(right, list(SCENE.things[:2]))


def test_json_has_the_keys_that_the_question_names() -> None:
    for seed in range(200):
        question = as_json.as_json(random.Random(seed), SCENE)
        value = asked_checks.fenced_value(question.answer)
        keys = value.keys() if isinstance(value, dict) else value[0].keys()
        assert question.text in as_json.PLAIN.seen or all(key in question.text for key in keys)


def test_json_of_a_plain_question_is_a_list_of_shapes_and_colors() -> None:
    assert asked_checks.fenced_value(answers(as_json.as_json, SCENE)["List all shapes as JSON."])[1] == {
        "shape": "star",
        "color": "orange",
    }


def test_a_careful_thought_goes_through_all_nine_places_before_the_usual_one() -> None:
    question = careful.careful(random.Random(3), SCENE)
    assert question.thought is not None
    assert question.thought.startswith("I go through the places. at the top left: red circle; at the top: none; ")
    assert question.thought.count(";") == 8


@pytest.mark.parametrize(
    ("maker", "text", "thought"),
    [
        (
            yes_no.yes_no,
            "Is there a red circle?",
            "I count the red circles: red circle 1 at the top left, orange star 1 in the center, blue circle 1 "
            "at the bottom right.",
        ),
        (
            which.which_shape,
            "What shape is orange?",
            "I count the orange objects: red circle 0 at the top left, orange star 1 in the center, blue circle 1 "
            "at the bottom right.",
        ),
        (
            which.which_colour,
            "What color is the circle?",
            "I count the circles: red circle 1 at the top left, orange star 1 in the center, blue circle 2 "
            "at the bottom right. red circle yes, orange circle no, yellow circle no, green circle no, blue circle "
            "yes, purple circle no, black circle no, white circle no.",
        ),
        (
            which.which_shape,
            "Which shapes do you see?",
            "red circle, orange star, blue circle. circle yes, square no, triangle no, star yes, cross no.",
        ),
        (
            yes_no.yes_no,
            "Is the red circle at the top left?",
            "The red circle is at the top left. Asked: at the top left.",
        ),
        (
            everything.all_points,
            "Point to all objects.",
            "red circle at the top left 160 160, orange star in the center 490 490, blue circle at the bottom right "
            "830 830.",
        ),
    ],
)
def test_a_thought_holds_what_the_answer_needs(maker: Callable[..., Question], text: str, thought: str) -> None:
    made = (maker(random.Random(seed), SCENE) for seed in range(1500))
    assert {question.thought for question in made if question.text == text} == {thought}


def test_the_thought_before_boxes_holds_the_numbers_of_the_answer_in_its_order() -> None:
    for maker in (everything.all_boxes, everything.every):
        said = maker(random.Random(0), SCENE)
        assert re.findall(r"\d+", said.thought or "") == re.findall(r"(?<!_)\b\d+", said.answer)


def test_the_thought_before_json_ends_with_the_keys_in_order() -> None:
    for seed in range(100):
        question = as_json.as_json(random.Random(seed), SCENE)
        value = asked_checks.fenced_value(question.answer)
        keys = ", ".join(value if isinstance(value, dict) else value[0])
        assert (question.thought or "").endswith(f" Keys: {keys}.")


def test_other_wordings_keep_thought_and_answer() -> None:
    plain = choosing.SHAPES["where"](random.Random(5), SCENE)
    other = rephrased.where(random.Random(5), SCENE)
    assert (other.thought, other.answer) == (plain.thought, plain.answer)


@pytest.mark.parametrize("name", [*choosing.SHAPES, *choosing.LISTS])
def test_the_mix_weighs_every_kind_of_question(name: str) -> None:
    assert choosing.WEIGHTS[name] > 0
