"""How many of a kind, how many letters, and whether anything is there.

In: a scene and a seeded `random.Random`. Out: a `Question`; counting goes through the picture with a running number.
"""

from __future__ import annotations

import random

from .. import tasks
from ..scenes import COLOURS, SHAPES, Scene
from ..tasks import NOTHING_KNOWN, Question, counting, plural, there_are
from . import further
from .wordings import Wordings

HOW_MANY = Wordings(
    ("How many {many} are there?", "How many {many} do you see?", "Count the {many}.",
     "How many {many} are in the picture?", "What is the number of {many}?", "Tell me how many {many} there are.",
     "How many {many} does the picture show?"),
    ("How many {many} can you find?", "Give me the number of {many}."),
    further.HOW_MANY,
)  # fmt: skip
LETTERS = Wordings(
    ("How many {many} are there?", "How many {many} does it have?", "Count the {many}.", "How many {many} do you see?",
     "How many {many} are on the sign?", "How long is the text in {many}?"),
    ("How many {many} can you read?", "Give me the number of {many}."),
    further.LETTERS,
)  # fmt: skip
ANYTHING = Wordings(
    ("Is there anything in the picture?", "Is anything there?", "Do you see anything?", "Is there anything to see?",
     "Can you see anything?", "Does the picture show anything?"),
    ("Is there something in the image?", "Is anything in it?"),
    further.ANYTHING,
)  # fmt: skip
EMPTY = Wordings(
    ("Is the picture empty?", "Is the image empty?", "Is it an empty picture?", "Is this picture blank?",
     "Is the picture blank?", "Is nothing in the picture?"),
    ("Is this image blank?", "Is there nothing to see?"),
    further.EMPTY,
)  # fmt: skip


def how_many(rng: random.Random, scene: Scene, *, unseen: bool = False) -> Question:
    """Ask for the number of things of a name or shape, or of letters or digits."""
    if scene.sign is not None:
        unit = "digit" if scene.sign.text.isdigit() else "letter"
        text = LETTERS.pick(rng, unseen=unseen, many=f"{unit}s")
        return Question("how_many", text, tasks.sign_thought(scene), there_are(len(scene.sign.text), unit))
    way = rng.random()
    if way < 0.15 or not scene.things:
        word = f"{rng.choice(list(COLOURS))} {rng.choice(SHAPES)}"
    elif way < 0.6:
        word = rng.choice(scene.things).name
    elif way < 0.8:
        word = rng.choice(SHAPES)
    else:
        word = rng.choice(("thing", "object", "shape"))
    found = [thing for thing in scene.things if word in (thing.name, thing.shape, "thing", "object", "shape")]
    text = HOW_MANY.pick(rng, unseen=unseen, many=plural(word))
    return Question("how_many", text, counting(scene, found, word), there_are(len(found), word))


def anything(rng: random.Random, scene: Scene, *, unseen: bool = False) -> Question:
    """Ask whether anything is there, or whether the picture is empty."""
    is_empty = rng.random() < 0.4
    text = (EMPTY if is_empty else ANYTHING).pick(rng, unseen=unseen)
    start = "No" if is_empty else "Yes"
    if scene.sign is not None:
        return Question("anything", text, tasks.sign_thought(scene), f"{start}, I see a text.")
    thought = tasks.description(scene)[0]
    answer = f"{start}, I see {thought}" if scene.things else NOTHING_KNOWN
    return Question("anything", text, thought, answer)
