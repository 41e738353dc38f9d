"""Held-out questions of every task, each with a check of the answer. Shared by both backends of `evaluate.py`.

In: a task name and a number. Out: `Case`s: chat messages in Qwen's content-list form, tools on offer, and the check.
Scenes come from seeds that training never uses; half of the words on signs are in no training picture at all.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any  # chat messages and JSON

from . import clips, dialogue, pairs, tasks, words
from .scenes import Box, Scene, Thing, random_scene, sign_scene
from .tasks import Question

SEED = 7_777_000
LONGEST_ANSWER = 380  # tokens, thought included; the longest right one has some 330
Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """One held-out question: what to send, and whether an answer is right."""

    messages: list[Message]
    tools: list[dialogue.Tool] | None
    expected: str
    check: Callable[[str], bool]
    is_closed: bool = False  # the thought is closed before it begins


def iou(a: Box | list[float], b: Box | list[float]) -> float:
    """Return the overlap of two boxes (x1, y1, x2, y2): intersection over union."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    common = max(0.0, width) * max(0.0, height)
    both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common
    return common / both if both > 0 else 0.0


def parse_boxes(answer: str) -> list[dict[str, Any]]:
    """Read the JSON list of an answer; an empty list where there is none."""
    found = re.search(r"\[\s*\{.*\}\s*\]", answer, re.DOTALL)
    try:
        items = json.loads(found.group()) if found else []
    except json.JSONDecodeError:
        return []
    return [item for item in items if isinstance(item.get("bbox_2d"), list) and len(item["bbox_2d"]) == 4]


def boxes_match(answer: str, things: list[Thing]) -> bool:
    """Tell whether each thing has one box of its name with IoU >= 0.5, and no box is left over."""
    boxes = parse_boxes(answer)
    if len(boxes) != len(things):
        return False
    for thing in things:
        real = [value * 1000 / 128 for value in thing.box()]
        hit = next((box for box in boxes if box.get("label") == thing.name and iou(box["bbox_2d"], real) >= 0.5), None)
        if hit is None:
            return False
        boxes.remove(hit)
    return True


def same_call(answer: str, expected: str) -> bool:
    """Tell whether the answer is exactly one well-formed call with the expected name and arguments."""
    found = re.fullmatch(r"<tool_call>\n(.*)\n</tool_call>", answer.strip(), re.DOTALL)
    wanted = re.fullmatch(r"<tool_call>\n(.*)\n</tool_call>", expected, re.DOTALL)
    assert wanted is not None, expected
    try:
        return found is not None and bool(json.loads(found.group(1)) == json.loads(wanted.group(1)))
    except json.JSONDecodeError:
        return False


def case_of(content: list[dict[str, Any]], question: Question, tools: list[dialogue.Tool] | None = None) -> Case:
    """Put a question behind what is shown; right is the answer word for word, or the same call."""
    messages = [{"role": "user", "content": [*content, {"type": "text", "text": question.text}]}]
    if "<tool_call>" in question.answer:
        return Case(messages, tools, question.answer, lambda answer: same_call(answer, question.answer))
    return Case(messages, tools, question.answer, lambda answer: answer.strip() == question.answer)


def image_item(scene: Scene) -> dict[str, Any]:
    """Return a scene as a content item."""
    return {"type": "image", "image": scene.draw(2)}


def _about_shapes(ask: Callable[[random.Random, Scene], Question]) -> Callable[[random.Random], Case]:
    def make(rng: random.Random) -> Case:
        scene = random_scene(rng)
        return case_of([image_item(scene)], ask(rng, scene))

    return make


def _box(rng: random.Random) -> Case:
    scene = random_scene(rng)
    names = Counter(thing.name for thing in scene.things)
    single = [thing for thing in scene.things if names[thing.name] == 1]
    if not single:
        return _box(rng)
    question = tasks.box(rng, scene)
    thing = next(one for one in single if f"{one.name}" in question.text)
    case = case_of([image_item(scene)], question)
    return Case(case.messages, None, case.expected, lambda answer: boxes_match(answer, [thing]))


def _box_all(rng: random.Random) -> Case:
    scene = random_scene(rng)
    question = tasks.box_all(rng, scene)
    found = [thing for thing in scene.things if thing.shape in question.text]
    case = case_of([image_item(scene)], question)
    return Case(case.messages, None, case.expected, lambda answer: boxes_match(answer, found))


def _read(rng: random.Random) -> Case:
    scene = sign_scene(rng, words.sign_text(rng, held_out=True))
    assert scene.sign is not None
    text = scene.sign.text
    case = case_of([image_item(scene)], tasks.read(rng, scene))
    return Case(case.messages, None, case.expected, lambda answer: re.findall(r'"(.*)"', answer) == [text])


def _compare(rng: random.Random) -> Case:
    pair = pairs.changed_pair(rng)
    return case_of([image_item(pair[0]), image_item(pair[1])], pairs.compare(rng, pair))


def _one_of_two(rng: random.Random) -> Case:
    pair = pairs.changed_pair(rng)
    return case_of([image_item(pair[0]), image_item(pair[1])], pairs.one_of_two(rng, pair[:2]))


def _video(rng: random.Random) -> Case:
    """A clip as its frames, two a second; right when the second named is the right one."""
    clip = clips.random_clip(rng)
    frames = [view.draw(2) for view in clip.views for _ in range(2)]
    case = case_of([{"type": "video", "video": frames, "frame_rate": 2.0}], clips.when(rng, clip))
    return Case(
        case.messages, None, case.expected, lambda answer: re.findall(r"second (\d+)", answer) == [str(clip.at)]
    )


def _tool(rng: random.Random) -> Case:
    name = rng.choice(("get_weather", "get_time", "set_timer", "send_message"))
    names = dialogue.offered(rng, [name])
    question, _ = dialogue.text_call(rng, name, names)
    return case_of([], question, [dialogue.TOOLS[one] for one in names])


def _tool_picture(rng: random.Random) -> Case:
    scene = sign_scene(rng, words.sign_text(rng)) if rng.random() < 0.5 else random_scene(rng)
    question = dialogue.picture_call(rng, scene)
    names = dialogue.offered(rng, ["save_note" if scene.sign is not None else "record_count"])
    return case_of([image_item(scene)], question, [dialogue.TOOLS[one] for one in names])


def _tool_result(rng: random.Random) -> Case:
    """A call and its result stand in the conversation; right when the answer repeats the result."""
    name = rng.choice(("get_weather", "get_time", "set_timer", "send_message"))
    names = dialogue.offered(rng, [name])
    question, arguments = dialogue.text_call(rng, name, names)
    result, reply = dialogue.tool_result(rng, name, arguments)
    call = {"type": "function", "function": {"name": name, "arguments": arguments}}
    messages: list[Message] = [
        {"role": "user", "content": question.text},
        {"role": "assistant", "content": "", "reasoning_content": question.thought, "tool_calls": [call]},
        {"role": "tool", "content": result},
    ]
    tools = [dialogue.TOOLS[one] for one in names]
    return Case(messages, tools, reply.answer, lambda answer: answer.strip() == reply.answer)


def _talk(rng: random.Random) -> Case:
    return case_of([], dialogue.small_talk(rng, has_picture=False))


Maker = Callable[[random.Random], Case]
TASKS: dict[str, Maker] = {
    "describe": _about_shapes(tasks.describe),
    "count": _about_shapes(tasks.count),
    "where": _about_shapes(tasks.where),
    "compare": _compare,
    "one_of_two": _one_of_two,
    "read": _read,
    "box": _box,
    "box_all": _box_all,
    "video": _video,
    "tool": _tool,
    "tool_picture": _tool_picture,
    "tool_result": _tool_result,
    "talk": _talk,
}
