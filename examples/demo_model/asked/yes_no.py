"""Questions with yes or no: whether something is there, and whether it is in a place.

In: a scene and a seeded `random.Random`. Out: a `Question`; the thought counts what is asked for, or puts the asked
place beside the real one, so that yes or no follows from words that stand near.
"""

from __future__ import annotations

import random
from collections import Counter

from .. import tasks
from ..scenes import COLOURS, PLACES, SHAPES, Scene
from ..tasks import Question, counting, plural, there_are, with_article
from . import further
from .wordings import Wordings

IS_THERE = Wordings(
    ("Is there {a}?", "Is there {a} in the picture?", "Do you see {a}?", "Can you see {a} here?",
     "Does the picture show {a}?", "Is {a} there?", "Are there any {many}?", "Do you see any {many}?",
     "Is there {a}? Answer yes or no."),
    ("Does the image contain {a}?", "Can you find {a}?", "Are any {many} in the picture?"),
    further.IS_THERE,
)  # fmt: skip
ANY_COLOUR = Wordings(
    ("Is there anything {colour}?", "Is something {colour}?", "Is anything in the picture {colour}?",
     "Do you see anything {colour}?", "Is there a {colour} thing?", "Is there something {colour} here?"),
    ("Does the picture show anything {colour}?", "Can you see something {colour}?"),
    further.ANY_COLOUR,
)  # fmt: skip
ANY_TEXT = Wordings(
    ("Is there any text?", "Is there a text in the picture?", "Do you see any text?", "Is something written here?",
     "Are there any letters?", "Is there a sign?", "Can you see a word?"),
    ("Does the picture contain text?", "Is there anything to read?"),
    further.ANY_TEXT,
)  # fmt: skip
IN_PLACE = Wordings(
    ("Is the {name} {place}?", "Do you see the {name} {place}?", "Is the {name} {place} in the picture?",
     "Can the {name} be seen {place}?", "The {name} is {place}, right?", "Does the {name} stand {place}?"),
    ("Is it true that the {name} is {place}?", "Would you say the {name} is {place}?"),
    further.IN_PLACE,
)  # fmt: skip


def yes_no(rng: random.Random, scene: Scene, *, unseen: bool = False) -> Question:
    """Ask whether a thing, a colour or a text is there, or whether a thing is in a place."""
    if scene.sign is not None:
        return _about_sign(rng, scene, unseen=unseen)
    way = rng.random()
    names = Counter(thing.name for thing in scene.things)
    single = [thing for thing in scene.things if names[thing.name] == 1]
    if way < 0.2 and single:
        thing = rng.choice(single)
        place = thing.place if rng.random() < 0.5 else rng.choice(PLACES)
        text = IN_PLACE.pick(rng, unseen=unseen, name=thing.name, place=place)
        answer = f"{'Yes' if place == thing.place else 'No'}, the {thing.name} is {thing.place}."
        return Question("yes_no", text, f"The {thing.name} is {thing.place}. Asked: {place}.", answer)
    if way < 0.3:
        colour = _one_of(rng, [thing.colour for thing in scene.things], list(COLOURS))
        found = [thing for thing in scene.things if thing.colour == colour]
        text, word = ANY_COLOUR.pick(rng, unseen=unseen, colour=colour), f"{colour} object"
        return Question("yes_no", text, counting(scene, found, word), _answer(len(found), word))
    if way < 0.38:
        return Question("yes_no", ANY_TEXT.pick(rng, unseen=unseen), "No text.", "No, there is no text.")
    if way < 0.6:
        word = _one_of(rng, [thing.shape for thing in scene.things], list(SHAPES))
    else:
        word = _asked_name(rng, scene)
    found = [thing for thing in scene.things if word in (thing.name, thing.shape)]
    text = IS_THERE.pick(rng, unseen=unseen, a=with_article(word), many=plural(word))
    return Question("yes_no", text, counting(scene, found, word), _answer(len(found), word))


def _about_sign(rng: random.Random, scene: Scene, *, unseen: bool) -> Question:
    thought = tasks.sign_thought(scene)
    if rng.random() < 0.5:
        return Question("yes_no", ANY_TEXT.pick(rng, unseen=unseen), thought, "Yes, there is a text.")
    word = rng.choice(SHAPES) if rng.random() < 0.5 else f"{rng.choice(list(COLOURS))} {rng.choice(SHAPES)}"
    text = IS_THERE.pick(rng, unseen=unseen, a=with_article(word), many=plural(word))
    return Question("yes_no", text, thought, _answer(0, word))


def _asked_name(rng: random.Random, scene: Scene) -> str:
    """Name a thing that is there, or one that shares its shape or colour with one, or any."""
    way = rng.random()
    if scene.things and way < 0.5:
        return rng.choice(scene.things).name
    if scene.things and way < 0.85:
        near = rng.choice(scene.things)
        if rng.random() < 0.5:
            return f"{rng.choice(list(COLOURS))} {near.shape}"
        return f"{near.colour} {rng.choice(SHAPES)}"
    return f"{rng.choice(list(COLOURS))} {rng.choice(SHAPES)}"


def _one_of(rng: random.Random, there: list[str], every: list[str]) -> str:
    return rng.choice(there) if there and rng.random() < 0.5 else rng.choice(every)


def _answer(number: int, word: str) -> str:
    if number == 0:
        return f"No, there is no {word}."
    if number == 1:
        return f"Yes, there is {with_article(word)}."
    return f"Yes, {there_are(number, word)[0].lower()}{there_are(number, word)[1:]}"
