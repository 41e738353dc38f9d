"""Questions about two pictures: what changed, what differs place by place, what is in one of them.

In: a seeded `random.Random`. Out: pairs of scenes and `Question`s about them.
"""

from __future__ import annotations

import random

from .scenes import PLACES, Scene, Thing, random_scene, random_thing, with_things
from .tasks import Question, counting, description, there_are

COMPARE = (
    "What changed between the two pictures?", "Compare the two pictures.", "What is the difference?",
    "What is different in the second picture?", "Find the difference between the images.", "What has changed?",
)  # fmt: skip
DIFFER = ("In how many places do the pictures differ?", "How many differences are there?", "Count the differences.")
NTH = ("first", "second")
NOTHING = "none"


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
    return Question("compare", rng.choice(COMPARE), side_by_side(first, second), said)


def one_of_two(rng: random.Random, pair: tuple[Scene, Scene]) -> Question:
    """Ask about the first or the second picture alone."""
    which = rng.randrange(2)
    scene = pair[0] if which == 0 else pair[1]
    if rng.random() < 0.5:
        text = f"What is in the {NTH[which]} picture?"
        return Question("one_of_two", text, *description(scene))
    found = list(scene.things)
    text = f"How many objects are in the {NTH[which]} picture?"
    return Question("one_of_two", text, counting(scene, found, "object"), there_are(len(found), "object"))


def mixed_pair(rng: random.Random) -> tuple[Scene, Scene]:
    """Make two pictures that differ in any number of places: nothing about one follows from the other."""
    first = random_scene(rng, low=1, high=4)
    free = [cell for cell in range(9) if cell not in {thing.cell for thing in first.things}]
    added = min(rng.choice((0, 0, 1, 1, 2)), 5 - len(first.things))
    things = [random_thing(rng, cell) for cell in rng.sample(free, added)]
    for thing in first.things:
        way = rng.random()
        if way < 0.75:
            things.append(thing if way < 0.4 else another_thing(rng, thing))
    return first, with_things(first, things or [random_thing(rng, first.things[0].cell)])


def another_thing(rng: random.Random, thing: Thing) -> Thing:
    """Draw a thing of another name for the same place."""
    while (other := random_thing(rng, thing.cell)).name == thing.name:
        continue
    return other


def differences(rng: random.Random, pair: tuple[Scene, Scene]) -> Question:
    """Ask in how many places two pictures differ."""
    number = sum(before != after for _, before, after in _places(*pair))
    return Question("differences", rng.choice(DIFFER), side_by_side(*pair), there_are(number, "difference"))


def side_by_side(first: Scene, second: Scene) -> str:
    """Write the thought that names what stands in each place of two pictures, and how it differs."""
    steps = []
    for place, before, after in _places(first, second):
        step = f"{place}: {before}, {after}"
        if before != after:
            step += ", added" if before == NOTHING else ", gone" if after == NOTHING else ", changed"
        steps.append(step)
    return f"I compare them place by place. {'; '.join(steps)}."


def _places(first: Scene, second: Scene) -> list[tuple[str, str, str]]:
    """List each place where something stands, with what stands there in either picture."""
    old, new = ({thing.cell: thing.name for thing in scene.things} for scene in (first, second))
    return [(PLACES[cell], old.get(cell, NOTHING), new.get(cell, NOTHING)) for cell in sorted({*old, *new})]
