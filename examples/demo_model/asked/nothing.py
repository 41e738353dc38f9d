"""Questions about a picture in which there is nothing the model knows.

In: a seeded `random.Random`. Out: a `Question`. To every open question the answer is the same; to what asks for a thing
or a number it is no, or 0.
"""

from __future__ import annotations

import random
from dataclasses import replace

from .. import tasks
from ..scenes import COLOURS, SHAPES, Scene
from ..tasks import NOTHING_KNOWN, Question, counting, there_are
from . import everything, further, how_many, rephrased, yes_no
from .as_json import PLAIN, fenced, keys_of
from .wordings import Wordings

EMPTY = Scene((), None, (255, 255, 255))
OTHER = Wordings(
    ("What is this a picture of?", "Which animal is this?", "Who is in the picture?", "What is in the photo?",
     "Where was this photo taken?", "What is happening here?", "What kind of picture is this?"),
    ("What does the photo show?", "Is this a photo of a person?"),
    further.OTHER,
)  # fmt: skip


def about_nothing(rng: random.Random, *, unseen: bool = False) -> Question:
    """Ask about an empty or unknown picture."""
    way = rng.random()
    if way < 0.4:
        return _open(rng, unseen=unseen)
    if way < 0.55:
        return how_many.anything(rng, EMPTY, unseen=unseen)
    if way < 0.72:
        return yes_no.yes_no(rng, EMPTY, unseen=unseen)
    if way < 0.82:
        word = rng.choice((rng.choice(SHAPES), f"{rng.choice(list(COLOURS))} {rng.choice(SHAPES)}", "object"))
        text = how_many.HOW_MANY.pick(rng, unseen=unseen, many=tasks.plural(word))
        return Question("how_many", text, counting(EMPTY, [], word), there_are(0, word))
    if way < 0.9:
        return rephrased.read(rng, EMPTY, unseen=unseen)
    if way < 0.95:
        return everything.all_boxes(rng, EMPTY, unseen=unseen)
    text = PLAIN.pick(rng, unseen=unseen)
    return Question("as_json", text, f"0 objects. {keys_of(('shape', 'color'))}", fenced([]))


def _open(rng: random.Random, *, unseen: bool) -> Question:
    question = rephrased.describe(rng, EMPTY, unseen=unseen)
    if rng.random() < 0.3:
        question = replace(question, text=OTHER.pick(rng, unseen=unseen))
    return replace(question, kind="nothing", answer=NOTHING_KNOWN)
