"""Count the bytes of a model's weights in every recipe of the converter, without a file.

In: a configuration and a recipe's name. Out: bytes, those that the converter writes.
"""

from __future__ import annotations

from math import prod

from edge.checkpoint.names.hub import expected_parameters, packed_targets
from edge.config import ModelConfig
from edge.plan.recipes import recipe_formats

_ITEM_BYTES = {"float": 2, "U32": 4, "U8": 1}


def recipe_bytes(config: ModelConfig, recipe: str) -> int:
    """Count the bytes of all weights in a recipe, floats in 2 bytes."""
    choices, total = recipe_formats(config, recipe), 0
    for name, shape in expected_parameters(config).items():
        setting = choices[name].format
        targets = [] if setting is None else packed_targets(name, shape, setting)
        total += sum(prod(target.shape) * _ITEM_BYTES[target.stored_as] for target in targets)
        total += 0 if targets else 2 * prod(shape)
    return total
