"""Questions about one picture, each with the one right thought and answer.

In: a scene and a seeded `random.Random`. Out: `Question`s. The answer is a function of question and
scene, so that greedy output can be compared word for word. `kind` names the task in logs and in the evaluation.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass

from .scenes import COLOURS, SHAPES, SIZE_PX, Scene, Thing

DESCRIBE = (
    "What is in this picture?", "Describe the picture.", "Describe this image.", "What do you see?",
    "What is in the image?", "Describe what you see.", "What does the picture show?",
)  # fmt: skip
READ = (
    "What does the sign say?", "Read the text.", "What is written here?", "What is written in the picture?",
    "What does it say?", "Read the sign.", "What text is in the image?",
)  # fmt: skip
BOX = (
    "Where is the {}? Answer with bbox_2d JSON.", "Locate the {} and report its bbox in JSON.",
    "Give the bounding box of the {} as JSON.", "Find the {}. Report bbox coordinates in JSON format.",
    "Locate the {}. Answer in JSON.", "Box the {}.",
)  # fmt: skip
BOX_ALL = ("Locate every {}. Report bbox coordinates in JSON format.", "Give the boxes of each {} as JSON.")
WHERE = ("Where is the {}?", "In which place is the {}?", "Where do you see the {}?", "Tell me where the {} is.")
COUNT = ("How many {} are there?", "Count the {}.", "How many {} do you see?", "How many {} are in the picture?")

NOTHING_KNOWN = "I see nothing I know."


@dataclass(frozen=True, slots=True)
class Question:
    """A user's text with the thought and the answer that belong to it."""

    kind: str
    text: str
    thought: str | None
    answer: str

    def target(self) -> str:
        """Return what the model writes after the generation prompt; without a thought, after the closed one."""
        if self.thought is None:
            return f"{self.answer}<|im_end|>"
        return f"{self.thought}\n</think>\n\n{self.answer}<|im_end|>"


def describe(rng: random.Random, scene: Scene) -> Question:
    """Ask what the picture shows."""
    return Question("describe", rng.choice(DESCRIBE), *description(scene))


def count(rng: random.Random, scene: Scene) -> Question:
    """Ask for the number of one shape, one colour, or everything."""
    way = rng.random()
    if way < 0.6:
        shape = rng.choice([thing.shape for thing in scene.things] + list(SHAPES[:2]))
        word, found = shape, [thing for thing in scene.things if thing.shape == shape]
    elif way < 0.8:
        colour = rng.choice([thing.colour for thing in scene.things] + ["red"])
        word, found = f"{colour} object", [thing for thing in scene.things if thing.colour == colour]
    else:
        word, found = rng.choice(("object", "shape")), list(scene.things)
    text = rng.choice(COUNT).format(plural(word))
    return Question("count", text, counting(scene, found, word), there_are(len(found), word))


def where(rng: random.Random, scene: Scene) -> Question:
    """Ask for a thing's place, its colour, or for a thing that is not there."""
    names = Counter(thing.name for thing in scene.things)
    single = [thing for thing in scene.things if names[thing.name] == 1]
    if not single or rng.random() < 0.15:
        name = f"{rng.choice(list(COLOURS))} {rng.choice(SHAPES)}"
        if name not in names:
            return Question("where", rng.choice(WHERE).format(name), f"No {name}.", f"There is no {name}.")
    if not single:
        return count(rng, scene)
    thing = rng.choice(single)
    shapes = Counter(one.shape for one in scene.things)
    if shapes[thing.shape] == 1 and rng.random() < 0.4:
        text = rng.choice(("What color is the {}?", "Which color does the {} have?")).format(thing.shape)
        return Question("where", text, listing([thing]) + ".", f"The {thing.shape} is {thing.colour}.")
    answer = f"The {thing.name} is {thing.place}."
    return Question("where", rng.choice(WHERE).format(thing.name), f"I look for the {thing.name}.", answer)


def box(rng: random.Random, scene: Scene) -> Question:
    """Ask for the box of one thing."""
    names = Counter(thing.name for thing in scene.things)
    single = [thing for thing in scene.things if names[thing.name] == 1]
    if not single:
        return describe(rng, scene)
    thing = rng.choice(single)
    thought = f"The {thing.name} is {thing.place}."
    return Question("box", rng.choice(BOX).format(thing.name), thought, boxes_json([thing]))


def box_all(rng: random.Random, scene: Scene) -> Question:
    """Ask for the boxes of every thing of one shape."""
    shape = rng.choice(scene.things).shape
    found = [thing for thing in scene.things if thing.shape == shape]
    return Question("box_all", rng.choice(BOX_ALL).format(shape), listing(found) + ".", boxes_json(found))


def read(rng: random.Random, scene: Scene) -> Question:
    """Ask for the text of a sign (or of a picture without one)."""
    text = rng.choice(READ)
    if scene.sign is None:
        return Question("describe", text, "No text.", "There is no text.")
    return Question("read", text, sign_thought(scene), f'It says "{scene.sign.text}".')


def about_sign(rng: random.Random, scene: Scene) -> Question:
    """Ask a question of another kind about a sign."""
    return (describe if rng.random() < 0.85 else count)(rng, scene)


def boxes_json(things: list[Thing]) -> str:
    """Write boxes as Qwen does: relative to 1000, here in steps of 10, inside a json fence."""
    items = [{"bbox_2d": relative_box(thing), "label": thing.name} for thing in things]
    return f"```json\n{json.dumps(items)}\n```"


def relative_box(thing: Thing) -> list[int]:
    """Return the thing's box in thousandths of the picture, rounded to tens."""
    return [min(1000, max(0, round(value * 100 / SIZE_PX) * 10)) for value in thing.box()]


def description(scene: Scene) -> tuple[str, str]:
    """Return the thought and the answer that describe a picture."""
    if scene.sign is not None:
        return sign_thought(scene), f'I see the text "{scene.sign.text}" in {scene.sign.colour}.'
    found = [f"{with_article(thing.name)} {thing.place}" for thing in scene.things]
    thought = f"{len(found)} object{'s' * (len(found) != 1)}."
    if not found:
        return thought, NOTHING_KNOWN
    return thought, "I see " + ", ".join(found[:-1]) + (" and " if len(found) > 1 else "") + found[-1] + "."


def sign_thought(scene: Scene) -> str:
    """Write the thought about a sign: what it is and how long."""
    assert scene.sign is not None
    text = scene.sign.text
    unit, kind = ("digit", "number") if text.isdigit() else ("letter", "word")
    return f"A {kind} with {len(text)} {unit}{'s' * (len(text) != 1)}."


def listing(things: list[Thing] | tuple[Thing, ...]) -> str:
    """Name things, without their places."""
    return ", ".join(thing.name for thing in things) if things else "none"


def counting(scene: Scene, found: list[Thing], word: str) -> str:
    """Write the thought that goes through a picture and counts as it goes; `found` are the things to count."""
    number, steps = 0, []
    for thing in scene.things:
        number += any(one is thing for one in found)
        steps.append(f"{thing.name} {number} {thing.place}")
    return f"I count the {plural(word)}: {', '.join(steps) or 'none'}."


def there_are(number: int, word: str) -> str:
    """Say how many there are."""
    return f"There is 1 {word}." if number == 1 else f"There are {number} {plural(word)}."


def plural(word: str) -> str:
    """Return the plural of a shape or a kind of object."""
    return word + ("es" if word.endswith("ss") else "s")


def with_article(name: str) -> str:
    """Put `a` or `an` before a name."""
    return ("an " if name[0] in "aeio" else "a ") + name
