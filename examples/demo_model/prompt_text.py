"""The pieces of a rendered prompt, exactly as the chat template writes them, and how a question is put behind them.

In: questions, tools, grids. Out: text.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace

from .dialogue import TOOLS, Tool
from .looks.canvas import SQUARE, Grid
from .tasks import Question

USER = "<|im_start|>user\n"
ASSISTANT = "<|im_end|>\n<|im_start|>assistant\n<think>\n"
CLOSED = "</think>\n\n"
TOOLS_HEAD = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function "
    "signatures within <tools></tools> XML tags:\n<tools>"
)
TOOLS_TAIL = (
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments within "
    '<tool_call></tool_call> XML tags:\n<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n'
    "</tool_call><|im_end|>\n"
)
NO_THOUGHT = 0.09
CUT_THOUGHT = 0.03


def image_text(grid: Grid = SQUARE) -> str:
    """Write the placeholder of a picture: one token for every four patches."""
    return "<|vision_start|>" + "<|image_pad|>" * (grid[0] * grid[1] // 4) + "<|vision_end|>"


def part_text(grid: Grid = SQUARE) -> str:
    """Write the placeholder of one temporal patch of a video."""
    return "<|vision_start|>" + "<|video_pad|>" * (grid[0] * grid[1] // 4) + "<|vision_end|>"


IMAGE, VIDEO_PART = image_text(), part_text()


def tools_text(names: list[str]) -> str:
    """Write the system turn that offers tools of `TOOLS`."""
    return offer_text([TOOLS[name] for name in names])


def offer_text(tools: list[Tool]) -> str:
    """Write the system turn that offers tools."""
    lines = "".join("\n" + json.dumps(tool, ensure_ascii=False) for tool in tools)
    return "<|im_start|>system\n" + TOOLS_HEAD + lines + TOOLS_TAIL


def turn(rng: random.Random, question: Question) -> tuple[str, Question]:
    """Write a question up to where the model goes on; now and then its thought is closed before or while it thinks."""
    context, way = question.text + ASSISTANT, rng.random()
    if way < NO_THOUGHT:
        return context + CLOSED, replace(question, kind="no_thought", thought=None)
    if way < NO_THOUGHT + CUT_THOUGHT and question.thought:
        cut = question.thought[: rng.randrange(len(question.thought))]
        return f"{context}{cut}\n{CLOSED}", replace(question, kind="no_thought", thought=None)
    return context, question


def turns(rng: random.Random, ask: Callable[[], Question], follow_up: float = 0.08) -> Iterator[tuple[str, Question]]:
    """Yield single questions, now and then one that follows another question and its answer."""
    while True:
        question = ask()
        yield turn(rng, question)
        if rng.random() < follow_up:
            context, after = turn(rng, ask())
            yield said(question) + context, after


def said(question: Question) -> str:
    """Write a question and its answer as an earlier part of a talk, up to the next question of the user."""
    return f"{question.text}<|im_end|>\n<|im_start|>assistant\n{question.answer}<|im_end|>\n{USER}"
