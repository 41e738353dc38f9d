"""Make random JSON Schemas, and write random text under a constraint, as a model that knows nothing would."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np

from edge.prompt.text.tokenizer import Tokenizer
from edge.run.constrain import Constraint

Json = Any  # schemas are JSON

KEYS = ["name", "größe", "名前", "a b", 'quo"te', "back\\slash", "slash/x", "emoji😀", "line\nbreak", "x", "$id2", ""]
TEXTS = ["rot", "grün", "藍色", 'a"b', "c\\d", "🙂", "x y", "", "two\nlines", "tab\t"]
PATTERNS = ["^[a-z]{2,4}$", "^[A-ZÄÖÜ][a-z]{0,3}$", "^\\d{3}-\\d{2}$", "b{2}", "^(ja|nein)$"]


def random_schema(rng: random.Random, *, depth: int = 3) -> Json:
    """Return a schema with objects and arrays nested so deep, choices, limits, unicode and references."""
    schema = _object(rng, depth=depth)
    schema["$defs"] = {
        "leaf": _leaf(rng),
        "node": {
            "type": "object",
            "properties": {"value": _leaf(rng), "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
            "required": ["value"],
            "additionalProperties": False,
        },
    }
    return schema


def random_tools(rng: random.Random, *, depth: int = 3) -> list[Json]:
    """Return two to four tools with random parameters."""
    names = rng.sample(["weather", "get_time", "naïve", 'odd"name', "a-b.c"], rng.randint(2, 4))
    return [
        {
            "type": "function",
            "function": {"name": name, "description": "d", "parameters": random_schema(rng, depth=depth)},
        }
        for name in names
    ]


def random_text(
    constraint: Constraint, tokenizer: Tokenizer, *, seed: int, max_tokens: int = 3000, hurry: float = 0.5
) -> tuple[list[int], bool]:
    """Take random allowed tokens to the end.

    Args:
        constraint: A fresh one.
        tokenizer: Whose tokens it rules.
        seed: Same seed, same tokens.
        max_tokens: Give up after this many.
        hurry: How often a token that closes something is preferred, so that texts end.

    Returns:
        The tokens, end token left out, and whether the text is finished.
    """
    rng = np.random.default_rng(seed)
    closing = {tokenizer.token_id(text) for text in ('"', "}", "]", '"}', "<|im_end|>", "</tool_call>")} - {None}
    closers = np.array(sorted(token for token in closing if token is not None))
    tokens: list[int] = []
    while not constraint.is_finished:
        if len(tokens) >= max_tokens:
            return tokens, False
        allowed = constraint.allowed()
        near = closers[allowed[closers]]
        choices = near if near.size and rng.random() < hurry else np.flatnonzero(allowed)
        token = int(rng.choice(choices))
        constraint.accept(token)
        tokens.append(token)
    ends = {tokenizer.token_id("<|im_end|>"), tokenizer.token_id("<|endoftext|>")}
    return ([*tokens[:-1]] if tokens and tokens[-1] in ends else tokens), True


def duplicate_names(text: str) -> list[str]:
    """Return the names that come twice in one object of a JSON text."""
    found: list[str] = []

    def look(pairs: list[tuple[str, Json]]) -> Json:
        names = [name for name, _ in pairs]
        found.extend({name for name in names if names.count(name) > 1})
        return dict(pairs)

    json.loads(text, object_pairs_hook=look)
    return found


def _object(rng: random.Random, *, depth: int) -> dict[str, Json]:
    names = rng.sample(KEYS, rng.randint(1, 4))
    schema: dict[str, Json] = {
        "type": "object",
        "properties": {name: _any(rng, depth=depth - 1) for name in names},
        "required": [name for name in names if rng.random() < 0.6],
    }
    extra = rng.choice([False, False, {"type": "integer", "minimum": 0, "maximum": 9}, None])
    if extra is not None:
        schema["additionalProperties"] = extra
    return schema


def _any(rng: random.Random, *, depth: int) -> Json:
    if depth == 0:
        return _leaf(rng)
    kind = rng.choice(["leaf", "leaf", "object", "array", "tuple", "anyOf", "ref", "node", "allOf"])
    if kind == "object":
        return _object(rng, depth=depth)
    if kind == "array":
        low = rng.randint(0, 3)
        return {
            "type": "array",
            "items": _any(rng, depth=depth - 1),
            "minItems": low,
            "maxItems": low + rng.randint(0, 2),
        }
    if kind == "tuple":
        return {"type": "array", "prefixItems": [_leaf(rng), _leaf(rng)], "items": False, "minItems": rng.randint(0, 2)}
    if kind == "anyOf":
        return {"anyOf": [_leaf(rng), _any(rng, depth=depth - 1)]}
    if kind == "allOf":
        return {"allOf": [{"type": "integer", "minimum": rng.randint(-20, 0)}, {"maximum": rng.randint(1, 300)}]}
    return {"$ref": f"#/$defs/{'leaf' if kind == 'ref' else 'node'}"} if kind in ("ref", "node") else _leaf(rng)


def _leaf(rng: random.Random) -> Json:
    low = rng.randint(-50, 50)
    return rng.choice(
        [
            {"type": "string", "maxLength": rng.randint(0, 6)},
            {"type": "string", "minLength": rng.randint(1, 3), "maxLength": 6},
            {"type": "string", "pattern": rng.choice(PATTERNS), "maxLength": 8},
            {"type": "string", "format": rng.choice(["date", "ipv4", "uuid"])},
            {"enum": rng.sample([*TEXTS, 1, -2.5, None, True], 3)},
            {"const": rng.choice([*TEXTS, 7, {"k": ["ü", 1]}])},
            {"type": "integer", "minimum": low, "maximum": low + rng.randint(0, 1000)},
            {"type": "integer", "exclusiveMinimum": low, "multipleOf": 3, "maximum": low + 90},
            {"type": "number", "minimum": low, "maximum": low + 2.5},
            {"type": "number", "exclusiveMinimum": low, "exclusiveMaximum": low + 1},
            {"type": "boolean"},
            {"type": ["null", "integer"], "maximum": 5, "minimum": -5},
        ]
    )
