"""Long thoughts: a question that asks for care is answered after going through all nine places.

In: a scene and a seeded `random.Random`. Out: a `Question` with a long thought and the usual answer.
"""

from __future__ import annotations

import random
from dataclasses import replace

from .. import tasks
from ..scenes import PLACES, Scene
from ..tasks import Question
from . import further
from .how_many import how_many
from .wordings import Wordings
from .yes_no import yes_no

CARE = Wordings(
    ("{question} Think carefully.", "{question} Think step by step.", "{question} Take your time.",
     "Think carefully: {question}", "Look at every place. {question}", "{question} Think long about it.",
     "Think step by step. {question}"),
    ("{question} Think it through.", "Take your time and think: {question}"),
    further.CARE,
)  # fmt: skip


def careful(rng: random.Random, scene: Scene, *, unseen: bool = False) -> Question:
    """Ask a usual question with care."""
    way = rng.random()
    if way < 0.4:
        question = tasks.describe(rng, scene)
    else:
        question = (how_many if way < 0.7 else yes_no)(rng, scene)
    text = CARE.pick(rng, unseen=unseen, question=question.text)
    return replace(question, kind="careful", text=text, thought=f"{every_place(scene)} {question.thought}")


def every_place(scene: Scene) -> str:
    """Name what stands in each of the nine places."""
    there = {thing.cell: thing.name for thing in scene.things}
    steps = [f"{place}: {there.get(cell, 'none')}" for cell, place in enumerate(PLACES)]
    return f"I go through the places. {'; '.join(steps)}."
