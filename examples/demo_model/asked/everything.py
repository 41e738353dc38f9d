"""All boxes and all points at once, one point, and boxes of what is not there.

In: a scene and a seeded `random.Random`. Out: a `Question`; the thought names each thing with its place and numbers, so
that the answer copies what was found one by one.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from .. import tasks
from ..scenes import COLOURS, SHAPES, SIZE_PX, Scene, Thing
from ..tasks import NOTHING_KNOWN, Question, boxes_json, relative_box
from . import further
from .wordings import Wordings

ALL_BOXES = Wordings(
    ("Where is everything? Answer with bbox_2d JSON.", "Locate everything and report bbox coordinates in JSON format.",
     "Give the boxes of all shapes as JSON.", "Find all objects. Report their bbox_2d in JSON.",
     "Locate all shapes. Answer in JSON.", "Box everything.", "Where is everything? bbox",
     "Detect all objects and output their bounding boxes as JSON."),
    ("Give a bounding box for each object as JSON.", "Locate each object, output the bbox coordinates in JSON."),
    further.ALL_BOXES,
)  # fmt: skip
ALL_POINTS = Wordings(
    ("Point to everything. Answer with point_2d JSON.", "Give a point on each shape as JSON.",
     "Locate all objects with points. Answer in JSON.", "Mark all shapes with point_2d in JSON format.",
     "Point to all objects.", "Report the point coordinates of everything in JSON."),
    ("Point at each object and answer in JSON.", "Output a point_2d for every shape."),
    further.ALL_POINTS,
)  # fmt: skip
ONE_POINT = Wordings(
    ("Point to the {name}.", "Point to the {name}. Answer with point_2d JSON.", "Give a point on the {name} as JSON.",
     "Locate the {name} with a point. Answer in JSON.", "Mark the {name} with point_2d in JSON format.",
     "Report the point coordinates of the {name} in JSON."),
    ("Point at the {name} and answer in JSON.", "Output the point_2d of the {name}."),
    further.ONE_POINT,
)  # fmt: skip
ONE_BOX = Wordings(
    ("Where is the {name}? Answer with bbox_2d JSON.", "Locate the {name}. Answer in JSON.", "Box the {name}.",
     "Give the bounding box of the {name} as JSON.", "Detect the {name} and output its bbox_2d as JSON.",
     "Where is the {name}? bbox", "Find the {name}. Report bbox coordinates in JSON format."),
    ("Locate the {name}, output its bbox coordinates using JSON format.", "Draw a box around the {name}."),
    further.ONE_BOX,
)  # fmt: skip
EVERY = Wordings(
    ("Locate every {shape}. Report bbox coordinates in JSON format.", "Give the boxes of each {shape} as JSON.",
     "Where is every {shape}? Answer with bbox_2d JSON.", "Give the bounding box of each {shape} as JSON.",
     "Find every {shape}. Report bbox coordinates in JSON format.", "Locate each {shape}. Answer in JSON."),
    ("Detect each {shape}, output the boxes in JSON.", "Draw boxes around every {shape}."),
    further.EVERY,
)  # fmt: skip


def all_boxes(rng: random.Random, scene: Scene, *, unseen: bool = False) -> Question:
    """Ask for the boxes of everything."""
    text = ALL_BOXES.pick(rng, unseen=unseen)
    if not scene.things:
        return Question("all_boxes", text, placed(()), NOTHING_KNOWN)
    return Question("all_boxes", text, measured(scene.things, relative_box), boxes_json(list(scene.things)))


def all_points(rng: random.Random, scene: Scene, *, unseen: bool = False) -> Question:
    """Ask for a point on everything."""
    text = ALL_POINTS.pick(rng, unseen=unseen)
    if not scene.things:
        return Question("all_points", text, placed(()), NOTHING_KNOWN)
    return Question("all_points", text, measured(scene.things, relative_point), points_json(list(scene.things)))


def every(rng: random.Random, scene: Scene) -> Question:
    """Ask for the boxes of every thing of one shape, with the thought of `all_boxes`."""
    question = tasks.box_all(rng, scene)
    shape = next(thing.shape for thing in scene.things if thing.shape in question.text)
    found = [thing for thing in scene.things if thing.shape == shape]
    return replace(question, text=EVERY.pick(rng, shape=shape), thought=measured(found, relative_box))


def one_place(rng: random.Random, scene: Scene, *, unseen: bool = False) -> Question:
    """Ask for the point or the box of one thing, now and then of one that is not there."""
    wants_point = rng.random() < 0.5
    wordings = ONE_POINT if wants_point else ONE_BOX
    kind = "point" if wants_point else "box"
    names = Counter(thing.name for thing in scene.things)
    single = [thing for thing in scene.things if names[thing.name] == 1]
    if not single or rng.random() < 0.15:
        name = f"{rng.choice(list(COLOURS))} {rng.choice(SHAPES)}"
        if name not in names:
            text = wordings.pick(rng, unseen=unseen, name=name)
            return Question(f"{kind}_none", text, f"No {name}.", f"There is no {name}.")
    if not single:
        return all_points(rng, scene, unseen=unseen)
    thing = rng.choice(single)
    answer = points_json([thing]) if wants_point else boxes_json([thing])
    text = wordings.pick(rng, unseen=unseen, name=thing.name)
    return Question(kind, text, f"The {thing.name} is {thing.place}.", answer)


def placed(things: tuple[Thing, ...] | list[Thing]) -> str:
    """Name things with their places."""
    return ", ".join(f"{thing.name} {thing.place}" for thing in things) + "." if things else "0 objects."


def measured(things: Sequence[Thing], numbers: Callable[[Thing], list[int]]) -> str:
    """Name things with their places and the numbers of each."""
    steps = (f"{thing.name} {thing.place} {' '.join(map(str, numbers(thing)))}" for thing in things)
    return f"{', '.join(steps)}."


def points_json(things: list[Thing]) -> str:
    """Write points as Qwen does: relative to 1000, here in steps of 10, inside a json fence."""
    items = [{"point_2d": relative_point(thing), "label": thing.name} for thing in things]
    return f"```json\n{json.dumps(items)}\n```"


def relative_point(thing: Thing) -> list[int]:
    """Return the middle of a thing in thousandths of the picture, rounded to tens."""
    return [min(1000, max(0, round(value * 100 / SIZE_PX) * 10)) for value in (thing.x, thing.y)]
