"""Questions about pictures and videos, each with the one right thought and answer.

In: a scene (or two, or a clip) and a seeded `random.Random`. Out: `Question`s. The answer is a function of question and
scene, so that greedy output can be compared word for word. `kind` names the task in logs and in the evaluation.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass

from .scenes import COLOURS, PLACES, SHAPES, SIZE_PX, Scene, Thing, random_scene, random_thing, with_things

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
COMPARE = (
    "What changed between the two pictures?", "Compare the two pictures.", "What is the difference?",
    "What is different in the second picture?", "Find the difference between the images.", "What has changed?",
)  # fmt: skip
WHEN = (
    "When does the {} appear?", "At which second does the {} appear?", "At what time does the {} show up?",
    "In which second can the {} first be seen?",
)  # fmt: skip
HAPPENS = ("What happens in the video?", "Describe the video.", "What happens?", "What is going on in this clip?")
NTH = ("first", "second")


@dataclass(frozen=True, slots=True)
class Question:
    """A user's text with the thought and the answer that belong to it."""

    kind: str
    text: str
    thought: str
    answer: str

    def target(self) -> str:
        """Return what the model writes after the generation prompt."""
        return f"{self.thought}\n</think>\n\n{self.answer}<|im_end|>"


@dataclass(frozen=True, slots=True)
class Clip:
    """A video of `seconds` seconds: `thing` is seen from second `at` on, everything else all the time."""

    before: Scene
    after: Scene
    thing: Thing
    at: int
    seconds: int


def describe(rng: random.Random, scene: Scene) -> Question:
    """Ask what the picture shows."""
    return Question("describe", rng.choice(DESCRIBE), *_description(scene))


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
    return Question("count", text, counting(scene, found, word), _there_are(len(found), word))


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
        return Question("where", text, _listing([thing]) + ".", f"The {thing.shape} is {thing.colour}.")
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
    return Question("box_all", rng.choice(BOX_ALL).format(shape), _listing(found) + ".", boxes_json(found))


def read(rng: random.Random, scene: Scene) -> Question:
    """Ask for the text of a sign (or of a picture without one)."""
    text = rng.choice(READ)
    if scene.sign is None:
        return Question("describe", text, "No text.", "There is no text.")
    return Question("read", text, sign_thought(scene), f'It says "{scene.sign.text}".')


def about_sign(rng: random.Random, scene: Scene) -> Question:
    """Ask a question of another kind about a sign."""
    return (describe if rng.random() < 0.85 else count)(rng, scene)


def changed_pair(rng: random.Random) -> tuple[Scene, Scene, str]:
    """Make two pictures that differ in one thing or in nothing; the string says in what."""
    scene = random_scene(rng, low=1, high=4)
    things = list(scene.things)
    way = rng.choice(("colour", "gone", "new", "same"))
    if way == "gone" and len(things) == 1:
        way = "colour"
    if way == "colour":
        old = things.pop(rng.randrange(len(things)))
        cell_rng = random_thing(rng, old.cell)
        while cell_rng.colour == old.colour:
            cell_rng = random_thing(rng, old.cell)
        new = Thing(old.shape, cell_rng.colour, old.cell, old.x, old.y, old.size, cell_rng.rgb)
        said = f"The {old.shape} {old.place} changed from {old.colour} to {new.colour}."
        return scene, with_things(scene, [*things, new]), said
    if way == "gone":
        old = things.pop(rng.randrange(len(things)))
        return scene, with_things(scene, things), f"The {old.name} {old.place} is gone."
    if way == "new":
        free = [cell for cell in range(9) if cell not in {thing.cell for thing in things}]
        new = random_thing(rng, rng.choice(free))
        return (
            scene,
            with_things(scene, [*things, new]),
            f"A {new.name} was added {new.place}.".replace("A orange", "An orange"),
        )
    return scene, scene, "Nothing changed."


def compare(rng: random.Random, pair: tuple[Scene, Scene, str]) -> Question:
    """Ask what changed between two pictures."""
    first, second, said = pair
    assert len(first.things) - len(second.things) in (-1, 0, 1), "a pair differs in one thing at most"
    return Question("compare", rng.choice(COMPARE), _side_by_side(first, second), said)


def one_of_two(rng: random.Random, pair: tuple[Scene, Scene, str]) -> Question:
    """Ask about the first or the second picture alone."""
    which = rng.randrange(2)
    scene = pair[0] if which == 0 else pair[1]
    if rng.random() < 0.5:
        text = f"What is in the {NTH[which]} picture?"
        return Question("one_of_two", text, *_description(scene))
    found = list(scene.things)
    text = f"How many objects are in the {NTH[which]} picture?"
    return Question("one_of_two", text, counting(scene, found, "object"), _there_are(len(found), "object"))


def random_clip(rng: random.Random) -> Clip:
    """Make a clip of 4 to 6 seconds in which one thing appears at a whole second."""
    after = random_scene(rng, low=1, high=3)
    thing = rng.choice(after.things)
    if Counter(one.name for one in after.things)[thing.name] > 1:
        return random_clip(rng)
    seconds = rng.randint(4, 6)
    before = with_things(after, [one for one in after.things if one is not thing])
    return Clip(before, after, thing, rng.randint(1, seconds - 1), seconds)


def clip_times(rng: random.Random | None, clip: Clip) -> list[float]:
    """Return the times of the sampled frames: 2 a second, taken evenly from a film of some frame rate."""
    rate = 2 if rng is None else rng.choice((2, 2, 8, 10, 12, 15, 24, 25, 30))
    total = clip.seconds * rate
    number = clip.seconds * 2
    return [round(i * (total - 1) / (number - 1)) / rate for i in range(number)]


def when(rng: random.Random, clip: Clip) -> Question:
    """Ask when something appears, or what happens."""
    name = clip.thing.name
    if rng.random() < 0.6:
        answer = f"The {name} appears at second {clip.at}."
        seen = ", ".join(f"{second} {'yes' if second == clip.at else 'no'}" for second in range(clip.at + 1))
        return Question("video", rng.choice(WHEN).format(name), f"The {name} is {clip.thing.place}. {seen}.", answer)
    answer = f"{_a(name).capitalize()} appears {clip.thing.place} at second {clip.at}."
    views = (clip.after if second == clip.at else clip.before for second in range(clip.at + 1))
    seen = "; ".join(f"{second}: {_listing(view.things)}" for second, view in enumerate(views))
    return Question("video", rng.choice(HAPPENS), f"{seen}. Something new: {_a(name)}.", answer)


def boxes_json(things: list[Thing]) -> str:
    """Write boxes as Qwen does: relative to 1000, here in steps of 10, inside a json fence."""
    items = [{"bbox_2d": relative_box(thing), "label": thing.name} for thing in things]
    return f"```json\n{json.dumps(items)}\n```"


def relative_box(thing: Thing) -> list[int]:
    """Return the thing's box in thousandths of the picture, rounded to tens."""
    return [min(1000, max(0, round(value * 100 / SIZE_PX) * 10)) for value in thing.box()]


def _description(scene: Scene) -> tuple[str, str]:
    if scene.sign is not None:
        return sign_thought(scene), f'I see the text "{scene.sign.text}" in {scene.sign.colour}.'
    found = [f"{_a(thing.name)} {thing.place}" for thing in scene.things]
    thought = f"{len(found)} object{'s' * (len(found) != 1)}."
    return thought, "I see " + ", ".join(found[:-1]) + (" and " if len(found) > 1 else "") + found[-1] + "."


def sign_thought(scene: Scene) -> str:
    """Write the thought about a sign: what it is and how long."""
    assert scene.sign is not None
    text = scene.sign.text
    unit, kind = ("digit", "number") if text.isdigit() else ("letter", "word")
    return f"A {kind} with {len(text)} {unit}{'s' * (len(text) != 1)}."


def _listing(things: list[Thing] | tuple[Thing, ...]) -> str:
    return ", ".join(thing.name for thing in things) if things else "none"


def counting(scene: Scene, found: list[Thing], word: str) -> str:
    """Write the thought that goes through a picture and counts as it goes; `found` are the things to count."""
    number, steps = 0, []
    for thing in scene.things:
        number += any(one is thing for one in found)
        steps.append(f"{thing.name} {thing.place} {number}")
    return f"I count the {plural(word)}: {', '.join(steps) or 'none'}."


def _side_by_side(first: Scene, second: Scene) -> str:
    """Write the thought that names what stands in each place of two pictures, and how it differs."""
    old, new = ({thing.cell: thing for thing in scene.things} for scene in (first, second))
    steps = []
    for cell in sorted({*old, *new}):
        before, after = old.get(cell), new.get(cell)
        step = f"{PLACES[cell]}: {before.name if before else 'none'}, {after.name if after else 'none'}"
        if before != after:
            step += ", added" if before is None else ", gone" if after is None else ", changed"
        steps.append(step)
    return f"I compare them place by place. {'; '.join(steps)}."


def _there_are(number: int, word: str) -> str:
    return f"There is 1 {word}." if number == 1 else f"There are {number} {plural(word)}."


def plural(word: str) -> str:
    """Return the plural of a shape or a kind of object."""
    return word + ("es" if word.endswith("ss") else "s")


def _a(name: str) -> str:
    return ("an " if name[0] in "aeio" else "a ") + name
