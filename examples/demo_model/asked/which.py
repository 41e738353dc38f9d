"""Which colour, which shape, what is where.

In: a scene and a seeded `random.Random`. Out: a `Question`; the thought goes through the picture and counts the things
that matter, or names them all; where the answer tells several, it looks for each that there could be.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence

from .. import tasks
from ..scenes import COLOUR_NAMES, COLOURS, PLACES, SHAPES, Scene, Thing
from ..tasks import Question, counting, plural, with_article
from . import further
from .wordings import Wordings

COLOUR_OF = Wordings(
    ("What color is the {shape}?", "Which color does the {shape} have?", "What is the color of the {shape}?",
     "Tell me the color of the {shape}.", "The {shape} has which color?", "In which color is the {shape}?",
     "What colour is the {shape}?"),
    ("Name the color of the {shape}.", "Which color is the {shape}?"),
    further.COLOUR_OF,
)  # fmt: skip
SHAPE_OF = Wordings(
    ("What shape is {colour}?", "Which shape is {colour}?", "What is {colour}?", "Which thing is {colour}?",
     "What shape is the {colour} thing?", "What is the {colour} object?", "Name the {colour} shape."),
    ("Which object is {colour}?", "What kind of shape is {colour}?"),
    further.SHAPE_OF,
)  # fmt: skip
AT_PLACE = Wordings(
    ("What is {place}?", "What do you see {place}?", "Which shape is {place}?", "What is there {place}?",
     "Tell me what is {place}.", "Which object is {place}?"),
    ("What can be seen {place}?", "Name the thing {place}."),
    further.AT_PLACE,
)  # fmt: skip
ALL_COLOURS = Wordings(
    ("Which colors do you see?", "What colors are there?", "Name the colors.", "Which colors are in the picture?",
     "List the colors.", "What colors do the shapes have?"),
    ("Tell me all colors.", "Which colors can be seen?"),
    further.ALL_COLOURS,
)  # fmt: skip
ALL_SHAPES = Wordings(
    ("Which shapes do you see?", "What shapes are there?", "Name the shapes.", "Which shapes are in the picture?",
     "List the shapes.", "What kinds of shapes do you see?"),
    ("Tell me all shapes.", "Which shapes can be seen?"),
    further.ALL_SHAPES,
)  # fmt: skip


def which_colour(rng: random.Random, scene: Scene, *, unseen: bool = False) -> Question:
    """Ask for the colour of a shape or of the text, or for all colours."""
    if scene.sign is not None:
        word = rng.choice(("text", "word", "sign")) if not scene.sign.text.isdigit() else rng.choice(("text", "number"))
        text = COLOUR_OF.pick(rng, unseen=unseen, shape=word)
        return Question("colour", text, tasks.sign_thought(scene), f"The {word} is {scene.sign.colour}.")
    if rng.random() < 0.25:
        text, told = ALL_COLOURS.pick(rng, unseen=unseen), {thing.colour for thing in scene.things}
        thought = f"{tasks.listing(scene.things)}. {looked_for(COLOUR_NAMES, told)}"
        return Question("colour", text, thought, f"I see {joined(in_order(COLOUR_NAMES, told))}.")
    shape = rng.choice(SHAPES) if rng.random() < 0.15 else rng.choice(scene.things).shape
    found = [thing for thing in scene.things if thing.shape == shape]
    seen = in_order(COLOUR_NAMES, {thing.colour for thing in found})
    answer = f"The {plural(shape) if len(found) > 1 else shape} {_are(found)} {joined(seen)}."
    text = COLOUR_OF.pick(rng, unseen=unseen, shape=plural(shape) if len(found) > 1 and rng.random() < 0.2 else shape)
    text = text.replace(f"is the {plural(shape)}", f"are the {plural(shape)}")
    thought = counting(scene, found, shape)
    if not found:
        return Question("colour", text, thought, f"There is no {shape}.")
    if len(found) > 1:
        names = [f"{colour} {shape}" for colour in COLOUR_NAMES]
        thought += f" {looked_for(names, {thing.name for thing in found})}"
    return Question("colour", text, thought, answer)


def which_shape(rng: random.Random, scene: Scene, *, unseen: bool = False) -> Question:
    """Ask for the shape of a colour, for what stands in a place, or for all shapes."""
    if scene.sign is not None:
        colour = scene.sign.colour if rng.random() < 0.6 else rng.choice(list(COLOURS))
        answer = f"The text is {colour}." if colour == scene.sign.colour else f"Nothing is {colour}."
        return Question("shape", SHAPE_OF.pick(rng, unseen=unseen, colour=colour), tasks.sign_thought(scene), answer)
    way = rng.random()
    if way < 0.2:
        text, seen = ALL_SHAPES.pick(rng, unseen=unseen), {thing.shape for thing in scene.things}
        answer = f"I see {joined([with_article(shape) for shape in in_order(SHAPES, seen)])}."
        return Question("shape", text, f"{tasks.listing(scene.things)}. {looked_for(SHAPES, seen)}", answer)
    if way < 0.5:
        place = rng.choice(PLACES) if rng.random() < 0.25 else rng.choice(scene.things).place
        there = next((thing.name for thing in scene.things if thing.place == place), None)
        answer = f"{with_article(there).capitalize()} is {place}." if there else f"Nothing is {place}."
        return Question("shape", AT_PLACE.pick(rng, unseen=unseen, place=place), f"{place}: {there or 'none'}.", answer)
    colour = rng.choice(list(COLOURS)) if rng.random() < 0.15 else rng.choice(scene.things).colour
    found = [thing for thing in scene.things if thing.colour == colour]
    names = joined([f"the {thing.shape}" for thing in found]).capitalize()
    answer = f"{names} {_are(found)} {colour}." if found else f"Nothing is {colour}."
    thought = counting(scene, found, f"{colour} object")
    return Question("shape", SHAPE_OF.pick(rng, unseen=unseen, colour=colour), thought, answer)


def joined(words: list[str]) -> str:
    """Join words by commas and a last `and`."""
    return ", ".join(words[:-1]) + (" and " if len(words) > 1 else "") + words[-1] if words else "nothing"


def in_order(words: Sequence[str], seen: Collection[str]) -> list[str]:
    """Return those of `words` that were seen, in the order of `words`."""
    return [word for word in words if word in seen]


def looked_for(words: Sequence[str], seen: Collection[str]) -> str:
    """Write the thought that looks for each of `words` in turn: the answer tells those that are there."""
    steps = [f"{word} yes" if word in seen else f"{word} no" for word in words]
    return f"{', '.join(steps)}."


def _are(found: list[Thing]) -> str:
    return "are" if len(found) > 1 else "is"
