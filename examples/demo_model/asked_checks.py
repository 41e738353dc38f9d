"""Held-out questions about one picture: seen and unseen wordings, fonts, backgrounds and sides, each with its check.

In: a seeded `random.Random`. Out: a `Case`. A task whose name ends in `_new` uses wordings that training never shows.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any  # JSON

from PIL import Image

from . import tasks, words
from .asked import as_json, careful, everything, how_many, nothing, rephrased, which, yes_no
from .checks import Case, Maker, boxes_match, case_of, image_item
from .looks.canvas import random_sides, stretch_of
from .looks.scenery import varied_scene, varied_sign
from .looks.unknown import blank, unknown
from .scenes import SIZE_PX, Scene, Thing, random_scene, sign_scene
from .tasks import Question

Ask = Callable[..., Question]
CLOSED_KINDS = (tasks.describe, yes_no.yes_no, which.which_colour, which.which_shape, how_many.how_many, tasks.where)


def any_scene(rng: random.Random) -> Scene:
    """Make a scene of the plain or of any look."""
    return random_scene(rng) if rng.random() < 0.5 else varied_scene(rng)


def any_sign(rng: random.Random) -> Scene:
    """Make a sign in Pillow's own font or in any that training uses."""
    text = words.sign_text(rng, held_out=True)
    return sign_scene(rng, text) if rng.random() < 0.5 else varied_sign(rng, text)


def asked(ask: Ask, *, unseen: bool = False, signs: float = 0.15) -> Maker:
    """Make cases of one question."""

    def make(rng: random.Random) -> Case:
        scene = any_sign(rng) if rng.random() < signs else any_scene(rng)
        return case_of([image_item(scene)], ask(rng, scene, unseen=unseen))

    return make


def closed(rng: random.Random) -> Case:
    """Ask with the thought closed before it begins."""
    scene = any_scene(rng)
    return replace(case_of([image_item(scene)], rng.choice(CLOSED_KINDS)(rng, scene)), is_closed=True)


def all_boxes(rng: random.Random, *, unseen: bool = False) -> Case:
    """Ask for the boxes of everything; nothing may be left out."""
    scene = any_scene(rng)
    case = case_of([image_item(scene)], everything.all_boxes(rng, scene, unseen=unseen))
    return replace(case, check=lambda answer: boxes_match(answer, list(scene.things)))


def all_points(rng: random.Random) -> Case:
    """Ask for a point on everything; each must lie in its thing's box."""
    scene = any_scene(rng)
    case = case_of([image_item(scene)], everything.all_points(rng, scene))
    return replace(case, check=lambda answer: points_match(answer, list(scene.things)))


def one_place(rng: random.Random, *, unseen: bool = False) -> Case:
    """Ask for the point or the box of one thing, or of one that is not there."""
    scene = any_scene(rng)
    question = everything.one_place(rng, scene, unseen=unseen)
    case = case_of([image_item(scene)], question)
    names = Counter(thing.name for thing in scene.things)
    found = [thing for thing in scene.things if names[thing.name] == 1 and thing.name in question.text]
    if question.kind == "box":
        return replace(case, check=lambda answer: boxes_match(answer, found))
    if question.kind in ("point", "all_points"):
        things = found if question.kind == "point" else list(scene.things)
        return replace(case, check=lambda answer: points_match(answer, things))
    return case


def described_json(rng: random.Random, *, unseen: bool = False) -> Case:
    """Ask for JSON of a described shape; right when it is the same value."""
    scene = any_sign(rng) if rng.random() < 0.2 else any_scene(rng)
    question = as_json.as_json(rng, scene, unseen=unseen)
    case = case_of([image_item(scene)], question)
    return replace(case, check=lambda answer: fenced_value(answer) == fenced_value(question.answer))


def reading(rng: random.Random, *, held_out: bool, wide: bool = False, unseen: bool = False) -> Case:
    """Ask for a text in a font that training uses or not."""
    text = words.sign_text(rng, held_out=True)
    stretch = stretch_of(*random_sides(rng)) if wide else (1.0, 1.0)
    scene = varied_sign(rng, text, held_out=held_out, pillow=0.0, stretch=stretch)
    case = case_of([image_item(scene)], rephrased.read(rng, scene, unseen=unseen))
    return replace(case, check=lambda answer: re.findall(r'"(.*)"', answer) == [text])


def wide(rng: random.Random) -> Case:
    """Describe a picture that is not square."""
    scene = varied_scene(rng, stretch=stretch_of(*random_sides(rng)))
    return case_of([image_item(scene)], tasks.describe(rng, scene))


def backdrop(rng: random.Random) -> Case:
    """Describe a picture with any background."""
    scene = varied_scene(rng)
    return case_of([image_item(scene)], tasks.describe(rng, scene))


def unknown_picture(rng: random.Random, *, unseen: bool = False) -> Case:
    """Ask an open question about a picture in which there is nothing known."""
    height, width = random_sides(rng) if rng.random() < 0.5 else (256, 256)
    picture: Image.Image = (
        blank(rng, (width, height)) if rng.random() < 0.4 else unknown(rng, (width, height), held_out=unseen)
    )
    return case_of([{"type": "image", "image": picture}], nothing.about_nothing(rng, unseen=unseen))


def points_match(answer: str, things: list[Thing]) -> bool:
    """Tell whether each thing has one point of its name inside its box, and no point is left over."""
    value = fenced_value(answer)
    points = [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
    if len(points) != len(things):
        return False
    for thing in things:
        left, top, right, bottom = (side * 1000 / SIZE_PX for side in thing.box())
        hits = [
            point for point in points
            if point.get("label") == thing.name and left <= _xy(point)[0] <= right and top <= _xy(point)[1] <= bottom
        ]  # fmt: skip
        if not hits:
            return False
        points.remove(hits[0])
    return True


def fenced_value(answer: str) -> Any:
    """Read the JSON of an answer, in a fence or bare; None where there is none."""
    found = re.fullmatch(r"(?:```json\n)?(.*?)(?:\n```)?", answer.strip(), re.DOTALL)
    try:
        return json.loads(found.group(1)) if found else None
    except json.JSONDecodeError:
        return None


def _xy(point: dict[str, Any]) -> tuple[float, float]:
    value = point.get("point_2d")
    if not isinstance(value, list) or len(value) != 2 or not all(isinstance(one, int | float) for one in value):
        return -1.0, -1.0
    return float(value[0]), float(value[1])


TASKS: dict[str, Maker] = {
    "yes_no": asked(yes_no.yes_no),
    "yes_no_new": asked(yes_no.yes_no, unseen=True),
    "colour": asked(which.which_colour),
    "colour_new": asked(which.which_colour, unseen=True),
    "shape": asked(which.which_shape),
    "shape_new": asked(which.which_shape, unseen=True),
    "how_many": asked(how_many.how_many),
    "how_many_new": asked(how_many.how_many, unseen=True),
    "anything": asked(how_many.anything),
    "anything_new": asked(how_many.anything, unseen=True),
    "describe_new": asked(rephrased.describe, unseen=True),
    "where_new": asked(rephrased.where, unseen=True, signs=0.0),
    "careful": asked(careful.careful, signs=0.0),
    "closed": closed,
    "all_boxes": all_boxes,
    "all_boxes_new": partial(all_boxes, unseen=True),
    "all_points": all_points,
    "one_place": one_place,
    "one_place_new": partial(one_place, unseen=True),
    "as_json": described_json,
    "as_json_new": partial(described_json, unseen=True),
    "nothing": unknown_picture,
    "nothing_new": partial(unknown_picture, unseen=True),
    "backdrop": backdrop,
    "wide": wide,
    "fonts": partial(reading, held_out=False),
    "fonts_new": partial(reading, held_out=True),
    "fonts_wide": partial(reading, held_out=False, wide=True),
    "read_new": partial(reading, held_out=False, unseen=True),
}
