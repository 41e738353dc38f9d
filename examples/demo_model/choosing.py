"""Choose what to ask about a scene, by the weights of a mix.

In: a seeded `random.Random`, a scene, weights by kind. Out: a `Question`.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from . import tasks
from .scenes import Scene
from .tasks import Question

Maker = Callable[[random.Random, Scene], Question]
SHAPES: dict[str, Maker] = {
    "describe": tasks.describe,
    "count": tasks.count,
    "where": tasks.where,
    "box": tasks.box,
    "box_all": tasks.box_all,
    "read": tasks.read,
}
SIGNS: dict[str, Maker] = {"read": tasks.read, "describe": tasks.describe, "count": tasks.count}
SIGN_MIX = {"read": 1.5, "describe": 0.4, "count": 0.1}


def about_shapes(rng: random.Random, scene: Scene, mix: dict[str, float]) -> Question:
    """Ask about a scene of shapes."""
    return _choose(rng, SHAPES, mix)(rng, scene)


def about_sign(rng: random.Random, scene: Scene) -> Question:
    """Ask about a sign."""
    return _choose(rng, SIGNS, SIGN_MIX)(rng, scene)


def _choose(rng: random.Random, makers: dict[str, Maker], mix: dict[str, float]) -> Maker:
    return makers[rng.choices(list(makers), [mix.get(name, 0.0) for name in makers])[0]]
