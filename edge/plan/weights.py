"""Count the bytes of a model's weights in every recipe of the converter, without a file.

In: a configuration and a recipe's name. Out: bytes. The converter owns the recipes; this table holds what decides
sizes, and a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from types import MappingProxyType

from edge.checkpoint.names.hub import PATCH_EMBED, expected_parameters, packed_targets
from edge.config import LayerQuantization, ModelConfig
from edge.config_json import PACKED_FORMS

_ITEM_BYTES = {"float": 2, "U32": 4, "U8": 1}


def _affine(bits: int) -> LayerQuantization:
    return LayerQuantization(group_size=64, bits=bits, mode="affine")


@dataclass(frozen=True, slots=True)
class Sizes:
    """The format of a recipe's matrices; of attention's v and o, and of the rest that a mixed recipe raises."""

    base: LayerQuantization | None
    raised: LayerQuantization | None = None


SIZES: Mapping[str, Sizes] = MappingProxyType(
    {
        "bf16": Sizes(None),
        "8bit": Sizes(_affine(8)),
        "6bit": Sizes(_affine(6)),
        "5bit": Sizes(_affine(5)),
        "4bit-mixed": Sizes(_affine(4), _affine(6)),
        "4bit": Sizes(_affine(4)),
        "mxfp8": Sizes(LayerQuantization(group_size=32, bits=8, mode="mxfp8")),
        "mxfp4": Sizes(LayerQuantization(group_size=32, bits=4, mode="mxfp4")),
        "nvfp4": Sizes(LayerQuantization(group_size=16, bits=4, mode="nvfp4")),
        "3bit-mixed": Sizes(_affine(3), _affine(5)),
        "3bit": Sizes(_affine(3)),
    }
)
_LAYERS = "language_model.model.layers."


def recipe_bytes(config: ModelConfig, recipe: str) -> int:
    """Count the bytes of all weights in a recipe, floats in 2 bytes."""
    sizes, total = SIZES[recipe], 0
    for name, shape in expected_parameters(config).items():
        setting = format_of(name, shape, config, sizes)
        targets = [] if setting is None else packed_targets(name, shape, setting)
        total += sum(prod(target.shape) * _ITEM_BYTES[target.stored_as] for target in targets)
        total += 0 if targets else 2 * prod(shape)
    return total


def format_of(name: str, shape: tuple[int, ...], config: ModelConfig, sizes: Sizes) -> LayerQuantization | None:
    """Tell how a recipe stores a parameter; None for floats.

    Args:
        name: Its published path.
        shape: Its shape, unpacked.
        config: The model.
        sizes: The recipe.
    """
    is_matrix = name.endswith(".weight") and len(shape) in (2, 3) and name != PATCH_EMBED
    if sizes.base is None or not is_matrix or name.startswith("vision_tower."):
        return None
    setting = sizes.base
    if name.endswith(".mlp.gate.weight"):
        setting = setting if setting.mode == "affine" and setting.bits >= 8 else _affine(8)
    elif sizes.raised is not None and _is_raised(name, config):
        setting = sizes.raised
    fitting = [size for size in PACKED_FORMS[setting.mode][0] if size <= setting.group_size and not shape[-1] % size]
    return replace(setting, group_size=max(fitting)) if fitting else None


def _is_raised(name: str, config: ModelConfig) -> bool:
    if name.endswith((".v_proj.weight", ".o_proj.weight", "embed_tokens.weight", "lm_head.weight")):
        return True
    if not name.endswith("down_proj.weight"):
        return False
    layer_index, num_layers = int(name.removeprefix(_LAYERS).split(".")[0]), config.text.num_layers
    num_edge = max(1, num_layers // 8)
    return layer_index < num_edge or layer_index >= num_layers - num_edge
