"""Declarations of tools as programs write them: titles, descriptions of each parameter, keys in any order.

In: a seeded `random.Random` and a declaration. Out: one that means the same.
"""

from __future__ import annotations

import random
from typing import Any  # JSON schemas have no narrower type

from ..dialogue import Tool

PLAIN = 0.5  # share of the rows whose tools stay as they were declared
ABOUT = ("The {}", "Name of the {}", "Its {}.", "The {} to use", "{}", "A {}, as text", "the {} (needed)", "Which {}")


def adorned(rng: random.Random, tools: list[Tool]) -> list[Tool]:
    """Write some tools in the manner of one program; in half of the cases as they stand."""
    if rng.random() < PLAIN:
        return tools
    manner = {
        "titles": rng.random() < 0.5, "about": rng.random() < 0.5, "closed": rng.random() < 0.3,
        "strict": rng.random() < 0.2, "order": rng.random() < 0.6, "required": rng.random() < 0.85,
    }  # fmt: skip
    return [_adorned(rng, tool, manner) for tool in tools]


def _adorned(rng: random.Random, tool: Tool, manner: dict[str, bool]) -> Tool:
    function = tool["function"]
    name, given = function["name"], function["parameters"]
    properties = {key: _field(rng, key, field, manner) for key, field in given["properties"].items()}
    parameters: dict[str, Any] = {"type": "object", "properties": properties}
    if manner["required"]:
        parameters["required"] = list(properties)
    if manner["titles"]:
        parameters["title"] = f"{name}Arguments"
    if manner["closed"]:
        parameters["additionalProperties"] = False
    out = {**function, "parameters": _ordered(rng, parameters, manner)}
    if manner["strict"]:
        out["strict"] = True
    return {"type": "function", "function": out}


def _field(rng: random.Random, key: str, field: dict[str, Any], manner: dict[str, bool]) -> dict[str, Any]:
    """Write one parameter."""
    out = dict(field)
    if manner["titles"]:
        out["title"] = key.capitalize()
    if manner["about"]:
        out["description"] = rng.choice(ABOUT).format(key)
    return _ordered(rng, out, manner)


def _ordered(rng: random.Random, fields: dict[str, Any], manner: dict[str, bool]) -> dict[str, Any]:
    keys = list(fields)
    if manner["order"]:
        rng.shuffle(keys)
    return {key: fields[key] for key in keys}
