"""Held-out tool loops, talks, animations and refusals, each with its check.

In: a seeded `random.Random`. Out: a `Case`. Earlier answers in a conversation are the right ones.
"""

from __future__ import annotations

import random
import re
from dataclasses import replace
from functools import partial
from typing import Any  # chat messages are JSON

from . import animations, asked_checks, pairs
from .asked import rephrased
from .checks import Case, Maker, Message, case_of, image_item, same_call
from .clips import Clip, random_clip, when
from .talks import turns as talks
from .talks.copying import look_up, repeat
from .talks.free_tools import FAMILIES, random_use
from .talks.in_a_row import Step, offer, one_call, two_calls, two_uses
from .talks.refusals import refusal
from .tasks import Question

FRAMES_A_SECOND = 2
BESIDE_TOOLS = ("all_boxes", "one_place", "yes_no", "colour", "shape", "how_many", "backdrop", "as_json")


def single(rng: random.Random, *, step: int, unseen: bool = False) -> Case:
    """Ask for a call (step 0) or for the answer to its result (step 1)."""
    use = random_use(rng, rng.choice(list(FAMILIES)), unseen=unseen)
    tools = offer(rng, [use])
    return loop_case(one_call(rng, use, tools)[step], tools)


def in_a_row(rng: random.Random, *, unseen: bool = False) -> Case:
    """Ask for one of the three answers of two calls in a row."""
    first, second, text = two_uses(rng, unseen=unseen)
    tools = offer(rng, [first, second])
    return loop_case(rng.choice(two_calls(rng, first, second, text, tools)), tools)


def loop_case(step: Step, tools: list[dict[str, Any]]) -> Case:
    """Make a conversation of a step: the calls so far with their results."""
    messages: list[Message] = [{"role": "user", "content": step.text}]
    for call in step.calls:
        made = {"type": "function", "function": {"name": call.use.name, "arguments": call.use.arguments}}
        messages += [
            {"role": "assistant", "content": "", "reasoning_content": call.thought, "tool_calls": [made]},
            {"role": "tool", "content": call.result},
        ]
    expected = step.answer.answer
    if "<tool_call>" in expected:
        return Case(messages, tools, expected, lambda answer: same_call(answer, expected))
    return Case(messages, tools, expected, lambda answer: answer.strip() == expected)


def talk(rng: random.Random, *, unseen: bool = False) -> Case:
    """Ask the second to sixth question of a talk that mixes pictures, a clip and text."""
    made = talks.random_talk(rng, unseen=unseen)
    return talk_case(made, made.ask(rng, unseen=unseen))


def talk_case(made: talks.Talk, question: Question) -> Case:
    """Make a conversation of a talk and its next question."""
    messages: list[Message] = []
    for one in made.turns:
        messages.append({"role": "user", "content": [*shown_items(one.shown), _text(one.question.text)]})
        messages.append({"role": "assistant", "content": one.question.answer})
    last = case_of(shown_items(made.shown), question)
    return replace(last, messages=[*messages, *last.messages])


def shown_items(shown: talks.Shown | None) -> list[dict[str, Any]]:
    """Return the content items of what a turn shows."""
    if shown is None:
        return []
    if isinstance(shown, Clip):
        frames = [view.draw(2) for view in shown.views for _ in range(FRAMES_A_SECOND)]
        return [{"type": "video", "video": frames, "frame_rate": float(FRAMES_A_SECOND)}]
    return [image_item(shown)]


def animation(rng: random.Random) -> Case:
    """An animation with uneven holds as its sampled frames; right when the second named is the right one."""
    made = animations.random_animation(rng)
    frames = [view.draw(2) for view in made.views]
    item = {"type": "video", "video": frames, "times_s": list(made.times_s)}
    case = case_of([item], animations.appears(rng, made))
    at = str(made.seconds[-1])
    return replace(case, check=lambda answer: re.findall(r"second (\d+)", answer) == [at])


def refused(rng: random.Random, *, unseen: bool = False) -> Case:
    """Ask for what the model cannot do."""
    return case_of([], refusal(rng, unseen=unseen))


def copied(rng: random.Random, *, unseen: bool = False) -> Case:
    """Ask to repeat a text or to look a value up."""
    return case_of([], (repeat if rng.random() < 0.5 else look_up)(rng, unseen=unseen))


def compare_new(rng: random.Random) -> Case:
    """Ask what changed, in wordings that training never shows."""
    pair = pairs.changed_pair(rng)
    return case_of([image_item(pair[0]), image_item(pair[1])], rephrased.compare(rng, pair, unseen=True))


def one_of_two_new(rng: random.Random) -> Case:
    """Ask about one of two pictures, in wordings that training never shows."""
    pair = pairs.changed_pair(rng)
    return case_of([image_item(pair[0]), image_item(pair[1])], rephrased.one_of_two(rng, pair[:2], unseen=True))


def video_new(rng: random.Random) -> Case:
    """Ask when something appears or what happens, in wordings that training never shows."""
    clip = random_clip(rng)
    case = case_of(shown_items(clip), rephrased.appears(rng, when(rng, clip), unseen=True))
    return replace(case, check=lambda answer: re.findall(r"second (\d+)", answer) == [str(clip.at)])


def beside_tools(rng: random.Random) -> Case:
    """Ask about a picture while tools are on offer that the question does not need."""
    task = rng.choice(BESIDE_TOOLS)
    use = random_use(rng, rng.choice(list(FAMILIES)))
    return replace(asked_checks.TASKS[task](rng), tools=offer(rng, [use], most=rng.randint(1, 3)))


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


TASKS: dict[str, Maker] = {
    "free_tool": partial(single, step=0),
    "free_tool_new": partial(single, step=0, unseen=True),
    "free_result": partial(single, step=1),
    "free_result_new": partial(single, step=1, unseen=True),
    "in_a_row": in_a_row,
    "in_a_row_new": partial(in_a_row, unseen=True),
    "six_turns": talk,
    "six_turns_new": partial(talk, unseen=True),
    "animation": animation,
    "copying": copied,
    "copying_new": partial(copied, unseen=True),
    "refusal": refused,
    "refusal_new": partial(refused, unseen=True),
    "compare_new": compare_new,
    "one_of_two_new": one_of_two_new,
    "video_new": video_new,
    "beside_tools": beside_tools,
}
