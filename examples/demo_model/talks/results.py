"""What tools bring back, in free JSON and in text, and the answer that belongs to it.

In: a `Use` and a seeded `random.Random`. Out: the result's text and the answer.
"""

from __future__ import annotations

import json
import random

from ..asked.wordings import choice
from . import further
from .free_tools import Use, made_up

SKIES = ("sunny", "cloudy", "rainy", "windy", "foggy", "snowy", "clear", "stormy")
FAILURES = ("city not found", "timeout", "no access", "not available", "unknown name", "try again later")
FACTS = ("is open today", "is closed", "is very old", "is a small town", "is sold out", "costs 5 dollars", "is new",
         "was found in 1987", "is near the river", "has 3 stars")  # fmt: skip


def random_result(rng: random.Random, use: Use) -> tuple[str, str]:
    """Make a result of a tool and the answer to the user."""
    if rng.random() < 0.07:
        reason = choice(rng, FAILURES, further.FAILURES)
        told = rng.choice(
            (json.dumps({"error": reason}), f"Error: {reason}", json.dumps({"ok": False, "error": reason}))
        )
        return told, f"The tool failed: {reason}."
    if use.family == "weather":
        return _weather(rng, str(use.values[0]))
    if use.family == "time":
        return _time(rng, str(use.values[0]))
    if use.family == "search":
        fact = f"{use.values[0] if rng.random() < 0.6 else made_up(rng)} {choice(rng, FACTS, further.FACTS)}"
        told = rng.choice((fact, json.dumps({"result": fact}), json.dumps({"results": [fact]}), json.dumps([fact])))
        return told, f"I found this: {fact}."
    if use.family == "price":
        price = f"{rng.randint(1, 99)}.{rng.randint(0, 99):02d}" if rng.random() < 0.6 else str(rng.randint(2, 999))
        key = rng.choice(("price", "value", "cost", "amount"))
        more = {} if rng.random() < 0.5 else {rng.choice(("item", "name")): use.values[0]}
        told = rng.choice((json.dumps({**more, key: price}), price, f"{use.values[0]}: {price}", f"Price: {price}"))
        return told, f"The price of {use.values[0]} is {price}."
    told = rng.choice((json.dumps({"ok": True}), json.dumps({"status": "done"}), "ok", "Done.", json.dumps({"id": 42}),
                       json.dumps({"success": True}), "success"))  # fmt: skip
    return told, "Done."


def _weather(rng: random.Random, city: str) -> tuple[str, str]:
    sky, degrees = choice(rng, SKIES, further.SKIES), str(rng.randint(-9, 38))
    way = rng.random()
    if way < 0.12:
        return rng.choice(
            (json.dumps({"temp": degrees}), f"{degrees} degrees", degrees)
        ), f"It is {degrees} degrees in {city}."
    if way < 0.24:
        return rng.choice((json.dumps({"weather": sky}), sky, sky.capitalize())), f"It is {sky} in {city}."
    answer = f"It is {sky} in {city}, {degrees} degrees."
    if way < 0.5:
        return rng.choice((
            f"{city}: {sky}, {degrees} degrees", f"{sky.capitalize()}, {degrees} C", f"{degrees} degrees and {sky}",
            f"The weather in {city} is {sky} with {degrees} degrees.", f"{city}: {degrees} C, {sky}",
            f"Today {sky}, {degrees} degrees.",
        )), answer  # fmt: skip
    number = int(degrees) if rng.random() < 0.7 else rng.choice((degrees, f"{degrees} C"))
    fields: list[tuple[str, object]] = [
        (rng.choice(("temperature", "temp", "temp_c", "degrees", "celsius")), number),
        (rng.choice(("sky", "weather", "condition", "conditions", "description", "summary")), sky),
    ]
    if rng.random() < 0.5:
        fields.append((rng.choice(("city", "location", "name")), city))
    if rng.random() < 0.3:
        fields.append((rng.choice(("humidity", "wind", "rain")), rng.randint(0, 99)))
    return _as_json(rng, fields), answer


def _time(rng: random.Random, city: str) -> tuple[str, str]:
    clock = f"{rng.randint(0, 23)}:{rng.randint(0, 59):02d}"
    answer = f"It is {clock} in {city}."
    if rng.random() < 0.4:
        return rng.choice((clock, f"It is {clock}.", f"{city}: {clock}", f"The time in {city} is {clock}.")), answer
    fields: list[tuple[str, object]] = [(rng.choice(("time", "local_time", "clock", "now")), clock)]
    if rng.random() < 0.5:
        fields.append((rng.choice(("city", "location", "zone")), city))
    return _as_json(rng, fields), answer


def _as_json(rng: random.Random, fields: list[tuple[str, object]]) -> str:
    """Write fields in any order, now and then inside another object or a list."""
    rng.shuffle(fields)
    value: object = dict(fields)
    way = rng.random()
    if way < 0.15:
        value = {rng.choice(("current", "data", "result", "response")): value}
    elif way < 0.22:
        value = [value]
    return json.dumps(value, indent=2 if rng.random() < 0.1 else None)
