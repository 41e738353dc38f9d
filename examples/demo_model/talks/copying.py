"""Repeating a text and looking a value up: what tool calls and answers to results are made of.

In: a seeded `random.Random`. Out: a `Question`. Nearly every token of the answer stands in the question, in words that
are made up anew each time, so that nothing can be known by heart.
"""

from __future__ import annotations

import json
import random

from ..asked.which import in_order, joined, looked_for
from ..asked.wordings import Wordings, choice
from ..dialogue import CITIES, MESSAGES, PEOPLE
from ..scenes import COLOUR_NAMES, SHAPES
from ..tasks import Question, with_article
from . import further
from .free_tools import ITEMS, made_up

REPEAT = Wordings(
    ("Repeat: {text}", "Say this: {text}", "Repeat after me: {text}", "Write this again: {text}", "Copy this: {text}",
     "Say {text}", "Please repeat: {text}"),
    ("Echo this: {text}", "Write exactly this: {text}"),
    further.REPEAT,
)  # fmt: skip
LOOK_UP = Wordings(
    ("{data} What is {key}?", "{data} Which value has {key}?", "What is {key} in {data}?", "Read {key} from {data}",
     "{data} Tell me {key}.", "Look up {key}: {data}"),
    ("{data} Give me {key}.", "Find {key} in {data}"),
    further.LOOK_UP,
)  # fmt: skip
KEYS = (
    "name", "city", "time", "price", "temp", "sky", "item", "place", "color", "shape", "count", "text", "id", "state",
    "minutes", "to", "location", "query", "wind", "result",
)  # fmt: skip
SORT = ("{names}. Which {asked}?", "Which {asked} are these: {names}", "{names}: name the {asked}.",
        "List the {asked}: {names}", "{asked} of {names}?")  # fmt: skip


def repeat(rng: random.Random, *, unseen: bool = False) -> Question:
    """Ask to repeat two to sixteen words or numbers."""
    text = " ".join(_word(rng) for _ in range(rng.choice((rng.randint(2, 8), rng.randint(2, 16)))))
    return Question("repeat", REPEAT.pick(rng, unseen=unseen, text=text), "I repeat it.", text)


def look_up(rng: random.Random, *, unseen: bool = False) -> Question:
    """Ask for one value of some named ones, as JSON or as lines."""
    keys = rng.sample(KEYS, rng.randint(2, 5))
    words = [_word(rng) for _ in keys]
    values = {
        key: int(word) if word.isdigit() and rng.random() < 0.5 else word for key, word in zip(keys, words, strict=True)
    }
    data = json.dumps(values) if rng.random() < 0.6 else ", ".join(f"{key}: {value}" for key, value in values.items())
    key = rng.choice(keys)
    return Question("look_up", LOOK_UP.pick(rng, unseen=unseen, data=data, key=key), "I look it up.", str(values[key]))


def sort_out(rng: random.Random) -> Question:
    """Ask which colours or shapes some named things have, each once: the thought looks for every one in turn."""
    colours, shapes = rng.sample(COLOUR_NAMES, rng.randint(1, 5)), rng.sample(list(SHAPES), rng.randint(1, 4))
    named = [f"{rng.choice(colours)} {rng.choice(shapes)}" for _ in range(rng.randint(1, 6))]
    index, asked = rng.choice(((0, "colors"), (1, "shapes")))
    seen, words = {name.split()[index] for name in named}, (COLOUR_NAMES, SHAPES)[index]
    told = [with_article(word) if index else word for word in in_order(words, seen)]
    names = ", ".join(named)
    text = rng.choice(SORT).format(names=names, asked=asked)
    return Question("sort_out", text, f"{names}. {looked_for(words, seen)}", f"I see {joined(told)}.")


def _word(rng: random.Random) -> str:
    way = rng.random()
    if way < 0.45:
        return made_up(rng) if rng.random() < 0.6 else made_up(rng).lower()
    if way < 0.7:
        return str(rng.randint(0, 9999)) if rng.random() < 0.7 else f"{rng.randint(0, 99)}:{rng.randint(10, 59)}"
    lists = (CITIES, PEOPLE, MESSAGES, ITEMS)
    return rng.choice(choice(rng, lists, (further.CITIES, further.PEOPLE, further.MESSAGES, further.ITEMS)))
