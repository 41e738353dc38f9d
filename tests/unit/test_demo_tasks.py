"""The demo recipe: scenes, questions, the packed text and the checks of answers."""

from __future__ import annotations

import json
import random
from pathlib import Path

import jinja2
import numpy as np
import pytest
from tokenizers import Tokenizer

from examples.demo_model import (
    checks,
    clips,
    corpus,
    dialogue,
    held_out,
    pack,
    pairs,
    pictures,
    prompt_text,
    tasks,
    tokenizer,
    words,
)  # fmt: skip
from examples.demo_model.choosing import WEIGHTS
from examples.demo_model.scenes import SIZE_PX, Scene, Thing, letter_scene, random_scene, sign_scene

TEMPLATE = Path(pack.__file__).parent / "chat_template.jinja"


@pytest.fixture(scope="module")
def small_tokenizer() -> Tokenizer:
    return tokenizer.build(*tokenizer.train_bpe(corpus.corpus(rows=40)))


@pytest.fixture(scope="module")
def template() -> jinja2.Template:
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8"))


def thing(shape: str, colour: str, cell: int) -> Thing:
    return Thing(shape, colour, cell, 20.0 + 43 * (cell % 3), 20.0 + 43 * (cell // 3), 30.0, (200, 30, 30))


def test_every_thing_lies_inside_the_picture_and_touches_no_other() -> None:
    scenes = [random_scene(random.Random(seed), low=5) for seed in range(50)]
    boxes = [[one.box() for one in scene.things] for scene in scenes]
    assert all(0 <= box[0] < box[2] <= SIZE_PX and 0 <= box[1] < box[3] <= SIZE_PX for row in boxes for box in row)
    assert all(checks.iou(a, b) == 0.0 for row in boxes for a in row for b in row if a is not b)


def test_a_sign_fits_and_its_letters_are_at_least_14_pixels_wide() -> None:
    scenes = [sign_scene(random.Random(seed), words.sign_text(random.Random(seed))) for seed in range(200)]
    boxes = [box for scene in scenes if scene.sign for box in scene.sign.glyph_boxes()]
    assert min(box[2] - box[0] for box in boxes) >= 14
    assert min(box[0] for box in boxes) >= 0
    assert max(box[2] for box in boxes) <= SIZE_PX


def test_a_picture_of_letters_has_lines_that_do_not_touch_and_labels_for_all() -> None:
    for seed in range(50):
        scene = letter_scene(random.Random(seed))
        boxes = [box for sign in scene.signs for box in sign.glyph_boxes()]
        assert len(scene.signs) == 3
        assert all(checks.iou(a, b) == 0.0 for a in boxes for b in boxes if a is not b)
        assert all(box[1] >= 0 and box[3] <= SIZE_PX for box in boxes)
        assert int((pictures.class_targets(scene)[2] > 0).sum()) == len(boxes)


def test_the_thought_about_a_count_goes_through_the_picture() -> None:
    scene = Scene((thing("circle", "red", 0), thing("star", "orange", 4), thing("circle", "blue", 8)), None, (255,) * 3)
    assert tasks.counting(scene, [scene.things[0], scene.things[2]], "circle") == (
        "I count the circles: red circle 1 at the top left, orange star 1 in the center, "
        "blue circle 2 at the bottom right."
    )


def test_the_thought_about_two_pictures_names_every_place_and_how_it_differs() -> None:
    first = Scene((thing("circle", "red", 0), thing("star", "orange", 4), thing("cross", "blue", 5)), None, (255,) * 3)
    second = Scene((thing("circle", "red", 0), thing("star", "green", 4), thing("cross", "red", 8)), None, (255,) * 3)
    said = pairs.compare(random.Random(0), (first, second, "")).thought
    assert said == (
        "I compare them place by place. at the top left: red circle, red circle; "
        "in the center: orange star, green star, changed; on the right: blue cross, none, gone; "
        "at the bottom right: none, red cross, added."
    )


def test_mixed_pairs_and_clips_stay_within_what_the_heads_can_label() -> None:
    rng = random.Random(0)
    scenes = [scene for _ in range(500) for scene in pairs.mixed_pair(rng)]
    views = [view for _ in range(100) for view in clips.mixed_clip(rng).views]
    assert max(pictures.class_targets(scene)[2].max() for scene in scenes + views) == 5
    assert min(len(scene.things) for scene in scenes) == 1
    assert min(len(view.things) for view in views) == 0


def test_the_thought_about_a_clip_ends_at_the_second_of_the_change() -> None:
    for seed in range(20):
        clip = clips.random_clip(random.Random(seed))
        said = clips.when(random.Random(seed), clip)
        assert said.thought is not None
        words_of_thought = said.thought.split()
        if "yes." in words_of_thought:
            assert words_of_thought[-2:] == [str(clip.at), "yes."]
            assert words_of_thought.count("no,") == clip.at
        else:
            assert f"; {clip.at}: " in said.thought
            assert f"{clip.at + 1}: " not in said.thought


def test_training_never_shows_a_held_out_word() -> None:
    rng = random.Random(0)
    assert not {words.sign_text(rng) for _ in range(5000)} & set(words.HELD_OUT)


def test_a_description_names_things_in_reading_order() -> None:
    scene = Scene((thing("circle", "red", 0), thing("star", "orange", 4), thing("cross", "blue", 8)), None, (255,) * 3)
    said = tasks.describe(random.Random(0), scene)
    assert said.answer == (
        "I see a red circle at the top left, an orange star in the center and a blue cross at the bottom right."
    )
    assert said.thought == "3 objects."


def test_a_box_is_relative_to_one_thousand_in_steps_of_ten() -> None:
    assert tasks.relative_box(thing("square", "red", 0)) == [40, 40, 270, 270]


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ('```json\n[{"bbox_2d": [40, 40, 270, 270], "label": "red square"}]\n```', True),
        ('[{"bbox_2d": [60, 60, 300, 300], "label": "red square"}]', True),
        ('[{"bbox_2d": [40, 40, 270, 270], "label": "blue square"}]', False),
        ('[{"bbox_2d": [400, 40, 700, 270], "label": "red square"}]', False),
        ('[{"bbox_2d": [40, 40, 270', False),
    ],
)
def test_boxes_are_checked_by_name_and_overlap(answer: str, right: bool) -> None:
    assert checks.boxes_match(answer, [thing("square", "red", 0)]) is right


def test_a_tool_call_must_have_the_right_arguments() -> None:
    call = dialogue.call_text("get_weather", {"city": "Paris"})
    assert checks.same_call(call, call)
    assert not checks.same_call(call.replace("Paris", "Rome"), call)
    assert not checks.same_call(call.replace("}}", "}"), call)


def test_capitals_and_digits_are_read_one_by_one(small_tokenizer: Tokenizer) -> None:
    assert small_tokenizer.encode('It says "OPEN".').tokens[-6:] == ["O", "P", "E", "N", '"', "."]
    assert small_tokenizer.encode("4721").tokens == ["4", "7", "2", "1"]


def test_the_26_added_tokens_follow_the_base_vocabulary(small_tokenizer: Tokenizer) -> None:
    ids = [small_tokenizer.token_to_id(text) for text in tokenizer.ADDED]
    assert ids == list(range(tokenizer.BASE_TOKENS, tokenizer.BASE_TOKENS + 26))


@pytest.mark.parametrize("kind", ["describe", "compare", "video", "tool", "tool_picture", "tool_result", "talk"])
def test_a_packed_prompt_is_what_the_chat_template_writes(kind: str, template: jinja2.Template) -> None:
    case = held_out.cases(kind, 1)[0]
    rendered = template.render(messages=case.messages, tools=case.tools, add_generation_prompt=True)
    rendered = rendered.replace("<|vision_start|><|image_pad|><|vision_end|>", prompt_text.IMAGE)
    names = [tool["function"]["name"] for tool in case.tools or []]
    assert rendered.startswith((prompt_text.tools_text(names) if names else "") + prompt_text.USER)
    assert rendered.endswith(prompt_text.ASSISTANT)


def test_a_tool_loop_is_packed_as_the_chat_template_writes_it(template: jinja2.Template) -> None:
    rng = random.Random(3)
    question, arguments = dialogue.text_call(rng, "get_weather", ["get_time", "get_weather"])
    result, _ = dialogue.tool_result(rng, "get_weather", arguments)
    call = {"function": {"name": "get_weather", "arguments": arguments}}
    messages = [
        {"role": "user", "content": question.text},
        {"role": "assistant", "content": "", "reasoning_content": question.thought, "tool_calls": [call]},
        {"role": "tool", "content": result},
    ]
    tools = [dialogue.TOOLS["get_weather"]]
    packed = prompt_text.tools_text(["get_weather"]) + prompt_text.USER + question.text + prompt_text.ASSISTANT
    packed += question.target()
    packed += f"\n<|im_start|>user\n<tool_response>\n{result}\n</tool_response>{prompt_text.ASSISTANT}"
    assert template.render(messages=messages, tools=tools, add_generation_prompt=True) == packed


def test_a_batch_labels_exactly_the_thoughts_and_answers(small_tokenizer: Tokenizer) -> None:
    batch = pack.Packer(small_tokenizer).batch("image", random.Random(1), rows=2, noise=0.0, mix=WEIGHTS)
    first = batch.lane_seg[0, 0] == 0
    said = [int(label) for label in batch.labels[0, 0][first] if label >= 0]
    text = small_tokenizer.decode(said, skip_special_tokens=False)
    assert text.endswith("<|im_end|>")
    assert "</think>\n\n" in text
    assert batch.lane_pos[0, 0, 0] == batch.prefix_pos[:, 0].max() + 1


def test_visual_positions_run_over_the_grid_and_go_on_after_it() -> None:
    positions = pack.prefix_positions((5, *[9] * 16, 6), {9})
    assert positions[:, :6].tolist() == [[0, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 2], [0, 1, 2, 3, 4, 1]]
    assert positions[:, -1].tolist() == [5, 5, 5]


def test_patch_labels_follow_the_block_order() -> None:
    scene = Scene((thing("circle", "red", 8),), None, (255,) * 3)
    targets = pictures.class_targets(scene)
    index = int(np.flatnonzero(targets[2])[0])
    assert (index // 16, index % 16 // 4) == (3, 3)


def test_clip_seconds_equal_the_whole_part_of_the_written_times() -> None:
    rng = random.Random(4)
    for _ in range(100):
        clip = clips.random_clip(rng)
        times = clips.clip_times(rng, clip)
        seen = [first >= clip.at - 1e-6 for first in times[::2]]
        assert seen.index(True) == clip.at
        assert int((times[2 * clip.at] + times[2 * clip.at + 1]) / 2) == clip.at
