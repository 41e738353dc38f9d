"""Choose what to ask about a scene, by the weights of a mix.

In: a seeded `random.Random`, a scene, weights by kind. Out: a `Question`.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from . import tasks
from .asked import as_json, careful, everything, how_many, rephrased, which, yes_no
from .scenes import Scene
from .tasks import Question

Maker = Callable[[random.Random, Scene], Question]
SHAPES: dict[str, Maker] = {
    "describe": tasks.describe,
    "count": tasks.count,
    "where": tasks.where,
    "box": tasks.box,
    "box_all": everything.every,
    "read": tasks.read,
    "re_describe": rephrased.describe,
    "re_where": rephrased.where,
    "re_read": rephrased.read,
    "yes_no": yes_no.yes_no,
    "colour": which.which_colour,
    "shape": which.which_shape,
    "how_many": how_many.how_many,
    "anything": how_many.anything,
    "one_place": everything.one_place,
}
LISTS: dict[str, Maker] = {
    "all_boxes": everything.all_boxes,
    "all_points": everything.all_points,
    "box_all": everything.every,
    "as_json": as_json.as_json,
    "careful": careful.careful,
}
SIGNS: dict[str, Maker] = {
    "read": tasks.read,
    "re_read": rephrased.read,
    "describe": tasks.describe,
    "re_describe": rephrased.describe,
    "count": tasks.count,
    "yes_no": yes_no.yes_no,
    "colour": which.which_colour,
    "shape": which.which_shape,
    "how_many": how_many.how_many,
    "anything": how_many.anything,
    "as_json": as_json.as_json,
}

WEIGHTS = {
    "describe": 0.7, "count": 0.8, "where": 0.3, "box": 1.0, "box_all": 0.2, "read": 0.03, "re_describe": 0.4,
    "re_where": 0.3, "re_read": 0.05, "yes_no": 1.6, "colour": 0.8, "shape": 1.0, "how_many": 0.5, "anything": 0.15,
    "one_place": 1.0, "all_boxes": 1.0, "all_points": 0.5, "as_json": 1.0, "careful": 0.5,
    "sign.read": 1.0, "sign.re_read": 0.5, "sign.describe": 0.3, "sign.re_describe": 0.2, "sign.count": 0.05,
    "sign.yes_no": 0.25, "sign.colour": 0.25, "sign.shape": 0.1, "sign.how_many": 0.15, "sign.anything": 0.08,
    "sign.as_json": 0.25,
}  # fmt: skip


def about_shapes(rng: random.Random, scene: Scene, mix: dict[str, float]) -> Question:
    """Ask about a scene of shapes."""
    return _choose(rng, SHAPES, mix)(rng, scene)


def in_a_list(rng: random.Random, scene: Scene, mix: dict[str, float]) -> Question:
    """Ask about a scene of shapes what takes a long answer or thought."""
    return _choose(rng, LISTS, mix)(rng, scene)


def about_sign(rng: random.Random, scene: Scene, mix: dict[str, float]) -> Question:
    """Ask about a sign; `mix` holds weights by `sign.KIND`."""
    return _choose(rng, SIGNS, {name: mix.get(f"sign.{name}", 0.0) for name in SIGNS})(rng, scene)


def _choose(rng: random.Random, makers: dict[str, Maker], mix: dict[str, float]) -> Maker:
    return makers[rng.choices(list(makers), [mix.get(name, 0.0) for name in makers])[0]]
