"""What is in the picture as JSON, in a shape that the question describes.

In: a scene and a seeded `random.Random`. Out: a `Question` whose answer is a fenced JSON text with the keys asked for;
the thought ends with the keys.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable

from .. import tasks
from ..scenes import Scene, Thing
from ..tasks import Question
from . import further_json
from .everything import placed
from .wordings import Wordings

KEYS = {
    "shape": ("shape", "shape", "kind", "form", "type"),
    "color": ("color", "color", "colour"),
    "place": ("place", "position", "where"),
    "name": ("name", "label", "object"),
}
PLAIN = Wordings(
    ("List all shapes as JSON.", "Describe the picture as JSON.", "Answer in JSON: what is in the picture?",
     "Give me all objects as JSON.", "What do you see? Answer as JSON.", "Write the shapes as a JSON list."),
    ("Return the objects in JSON.", "List what you see as JSON."),
    further_json.PLAIN,
)  # fmt: skip
WITH_KEYS = Wordings(
    ("List all shapes as JSON with the keys {keys}.", "Describe each object as JSON with {keys}.",
     "Give a JSON list of objects with the fields {keys}.", "What do you see? Answer as JSON with the keys {keys}.",
     "Write each shape as JSON with the keys {keys}.", "Answer as a JSON list. Each item has {keys}."),
    ("Return JSON objects with {keys} for every shape.", "Output a JSON list whose items have {keys}."),
    further_json.WITH_KEYS,
)  # fmt: skip
BY_EXAMPLE = Wordings(
    ("List all shapes as JSON like {example}.", "Answer in this form: {example}", "Use this JSON: {example}",
     "Describe the objects as {example}.", "Write the shapes as JSON: {example}", "What do you see? Format: {example}"),
    ("Reply with JSON of this form: {example}", "List the objects. Schema: {example}"),
    further_json.BY_EXAMPLE,
)  # fmt: skip
SIGN = Wordings(
    ("Give the text as JSON with the keys {keys}.", "Read the sign and answer as JSON with {keys}.",
     "Answer as JSON with the fields {keys}.", "What does it say? Answer as JSON with the keys {keys}.",
     "Write the sign as JSON with {keys}.", "Describe the sign as JSON with the keys {keys}."),
    ("Return JSON with {keys} for the sign.", "Output the sign as JSON, keys {keys}."),
    further_json.SIGN,
)  # fmt: skip
COUNT = Wordings(
    ("How many {many} are there? Answer as JSON with the key {key}.", "Count the {many} and answer as {example}.",
     "Give the number of {many} as JSON with the key {key}.", "Answer as JSON like {example}: how many {many}?",
     "How many {many} do you see? Use the JSON {example}.", "Write the number of {many} as JSON, key {key}."),
    ("Return the number of {many} in JSON under {key}.", "How many {many}? Reply as {example}."),
    further_json.COUNT,
)  # fmt: skip


def as_json(rng: random.Random, scene: Scene, *, unseen: bool = False) -> Question:
    """Ask for the things, the sign or a number as JSON."""
    if scene.sign is not None:
        values = {"text": scene.sign.text, "color": scene.sign.colour}
        keys = rng.choice((["text"], ["text", "color"], ["color", "text"]))
        names = {key: rng.choice(("text", "word", "content")) if key == "text" else _spelling(rng, key) for key in keys}
        text = SIGN.pick(rng, unseen=unseen, keys=_named(rng, list(names.values())))
        item = {names[key]: values[key] for key in keys}
        return Question("as_json", text, f"{tasks.sign_thought(scene)} {keys_of(item)}", fenced(item))
    way = rng.random()
    if way < 0.2 and scene.things:
        return _number(rng, scene, unseen=unseen)
    if way < 0.4:
        text, names = PLAIN.pick(rng, unseen=unseen), {"shape": "shape", "color": "color"}
    else:
        keys = rng.sample(list(KEYS), rng.randint(1, 3))
        names = {key: _spelling(rng, key) for key in keys}
        if way < 0.7:
            text = WITH_KEYS.pick(rng, unseen=unseen, keys=_named(rng, list(names.values())))
        else:
            example = [dict.fromkeys(names.values(), "...")]
            text = BY_EXAMPLE.pick(rng, unseen=unseen, example=json.dumps(example))
    items = [{name: value_of(thing, key) for key, name in names.items()} for thing in scene.things]
    return Question("as_json", text, f"{placed(scene.things)} {keys_of(names.values())}", fenced(items))


def _number(rng: random.Random, scene: Scene, *, unseen: bool) -> Question:
    shape, key = rng.choice(scene.things).shape, rng.choice(("count", "number", "total", "n"))
    found = [thing for thing in scene.things if thing.shape == shape]
    example = json.dumps({key: 0})
    text = COUNT.pick(rng, unseen=unseen, many=tasks.plural(shape), key=f'"{key}"', example=example)
    thought = f"{tasks.counting(scene, found, shape)} {keys_of([key])}"
    return Question("as_json", text, thought, fenced({key: len(found)}))


def keys_of(names: Iterable[str]) -> str:
    """Write the end of the thought: the keys in their order."""
    return f"Keys: {', '.join(names)}."


def value_of(thing: Thing, key: str) -> str:
    """Return what stands under a key."""
    return {"shape": thing.shape, "color": thing.colour, "place": thing.place, "name": thing.name}[key]


def fenced(value: object) -> str:
    """Write JSON inside a json fence."""
    return f"```json\n{json.dumps(value)}\n```"


def _spelling(rng: random.Random, key: str) -> str:
    return rng.choice(KEYS[key])


def _named(rng: random.Random, keys: list[str]) -> str:
    """Write keys as in `"shape", "color"` or `shape and color`."""
    if rng.random() < 0.5:
        return ", ".join(f'"{key}"' for key in keys)
    return ", ".join(keys[:-1]) + (" and " if len(keys) > 1 else "") + keys[-1]
