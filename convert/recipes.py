"""Choose how every weight of a checkpoint is stored: recipes as data, and overrides from the command line.

In: a model configuration, a recipe, overrides. Out: a `Choice` for every parameter. A pattern is a few dotted
names, each a glob: `self_attn.v_proj`, `layers.0.mlp`, `vision_tower`. It fits every module whose path holds
these names one after another; of several that fit, the last one counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Literal

from edge.checkpoint.names.hub import PATCH_EMBED, expected_parameters
from edge.config import LayerQuantization, ModelConfig
from edge.config_json import PACKED_FORMS
from edge.errors import UsageError

Format = LayerQuantization | None  # None: bfloat16

FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "bf16": None,
        **{f"{bits}bit": LayerQuantization(group_size=64, bits=bits, mode="affine") for bits in (8, 6, 5, 4, 3, 2)},
        "mxfp4": LayerQuantization(group_size=32, bits=4, mode="mxfp4"),
        "mxfp8": LayerQuantization(group_size=32, bits=8, mode="mxfp8"),
        "nvfp4": LayerQuantization(group_size=16, bits=4, mode="nvfp4"),
    }
)
ROUTER = "mlp.gate"
EMBEDDING, HEAD = "embed_tokens", "lm_head"
_POSITIONS = "vision_tower.pos_embed"
_LAYERS = "language_model.model.layers."


@dataclass(frozen=True, slots=True)
class Override:
    """A format for the modules that fit a pattern; `edges` leaves out all but the first and last layers."""

    pattern: str
    format_name: str
    where: Literal["all", "edges"] = "all"


@dataclass(frozen=True, slots=True)
class Recipe:
    """A named policy: the format of the decoder's matrices, and what differs from it."""

    name: str
    sentence: str
    format_name: str
    overrides: tuple[Override, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """How one parameter is stored, and why where that is not what the recipe's format says."""

    format: Format
    reason: str = ""


# 8 bits: on the 30B with the router at 4 bits only 42 % of the tokens keep the set of experts they had.
_ROUTER_SAFE = Override(ROUTER, "8bit")


def _careful(values: str, edges: str, ends: str) -> tuple[Override, ...]:
    """Spend bits on attention's v and o, on the first and last layers' down projections, embedding and head."""
    return (
        _ROUTER_SAFE,
        Override("self_attn.v_proj", values),
        Override("self_attn.o_proj", values),
        Override("down_proj", edges, where="edges"),
        Override(EMBEDDING, ends),
        Override(HEAD, ends),
    )


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        recipe.name: recipe
        for recipe in (
            Recipe("bf16", "Nothing lost: the published weights, in the layout MLX reads without work.", "bf16"),
            Recipe("8bit", "Hardly to be told from bf16, at about half its size.", "8bit", (_ROUTER_SAFE,)),
            Recipe("6bit", "Very close to bf16, at 0.42 of its size.", "6bit", (_ROUTER_SAFE,)),
            Recipe("5bit", "Close to bf16, at 0.36 of its size.", "5bit", (_ROUTER_SAFE,)),
            Recipe("4bit", "The usual choice: a small loss, at 0.3 of the size.", "4bit", (_ROUTER_SAFE,)),
            Recipe("3bit", "When 4 bits do not fit: a loss that shows, at 0.24 of the size.", "3bit", (_ROUTER_SAFE,)),
            Recipe(
                "4bit-mixed",
                "4 bits, but 6 to 8 for attention v/o, the outer layers' down projections, embedding and head.",
                "4bit",
                _careful("6bit", "6bit", "6bit"),
            ),
            Recipe(
                "3bit-mixed",
                "3 bits, but 5 to 8 for attention v/o, the outer layers' down projections, embedding and head.",
                "3bit",
                _careful("5bit", "5bit", "5bit"),
            ),
            Recipe(
                "mxfp4", "4-bit floats of the OCP standard, groups of 32: quick on new chips.", "mxfp4", (_ROUTER_SAFE,)
            ),
            Recipe("mxfp8", "8-bit floats of the OCP standard, groups of 32.", "mxfp8", (_ROUTER_SAFE,)),
            Recipe("nvfp4", "NVIDIA's 4-bit floats, groups of 16: more exact than mxfp4.", "nvfp4", (_ROUTER_SAFE,)),
        )
    }
)


def parse_format(text: str) -> Format:
    """Read a format: a name such as `4bit` or `bf16`, with another group size as `4bit/32`.

    Raises:
        UsageError: There is no such format.
    """
    name, _, group = text.partition("/")
    if name not in FORMATS:
        raise UsageError(f"{text!r} is not a format. Choose one of {', '.join(FORMATS)}, or 4bit/32 for groups of 32.")
    setting = FORMATS[name]
    if not group:
        return setting
    if setting is None or not group.isdecimal():
        raise UsageError(f"{text!r}: expected a group size behind the slash, as in 4bit/32.")
    return checked_format(bits=setting.bits, group_size=int(group), mode=setting.mode)


def checked_format(*, bits: int | None, group_size: int | None, mode: str) -> LayerQuantization:
    """Make a format of numbers; what is None is MLX's default of the mode.

    Raises:
        UsageError: MLX has no such format.
    """
    if mode not in PACKED_FORMS:
        raise UsageError(f"--mode {mode}: expected one of {', '.join(PACKED_FORMS)}.")
    group_sizes, bits_choices = PACKED_FORMS[mode]
    setting = LayerQuantization(group_size=group_size or group_sizes[0], bits=bits or bits_choices[0], mode=mode)
    for name, value, choices in (("group size", setting.group_size, group_sizes), ("bits", setting.bits, bits_choices)):
        if value not in choices:
            shown = ", ".join(str(choice) for choice in sorted(choices))
            raise UsageError(f"{name} {value} does not exist in mode {mode}, only {shown}.")
    return setting


def format_name(setting: Format) -> str:
    """Write a format as `parse_format` reads it."""
    if setting is None:
        return "bf16"
    name = f"{setting.bits}bit" if setting.mode == "affine" else setting.mode
    usual = FORMATS[name]
    return name if usual == setting else f"{name}/{setting.group_size}"


def choose_formats(
    config: ModelConfig, *, base: Format, recipe: Recipe, overrides: Iterable[tuple[str, Format]] = ()
) -> dict[str, Choice]:
    """Choose the format of every parameter.

    Args:
        config: The model.
        base: Format of the decoder's matrices; the recipe's own, or what --bits, --group-size and --mode ask for.
        recipe: What differs from the base.
        overrides: Patterns and formats that win over everything, last one first.

    Raises:
        UsageError: A pattern fits no matrix.
    """
    asked = list(overrides)
    shapes = expected_parameters(config)
    modules = [name.removesuffix(".weight") for name, shape in shapes.items() if is_matrix(name, shape)]
    for pattern, _ in asked:
        if not any(fits_pattern(pattern, module) for module in modules):
            raise UsageError(f"--set {pattern!r} fits no matrix of this model. Patterns look like self_attn.v_proj.")
    return {name: _choose(name, shape, config, base=base, recipe=recipe, asked=asked) for name, shape in shapes.items()}


def fits_pattern(pattern: str, module: str) -> bool:
    """Tell whether the names of a pattern follow each other in a module's path."""
    wanted, path = pattern.split("."), module.split(".")
    return any(
        all(fnmatchcase(name, glob) for name, glob in zip(path[start:], wanted, strict=False))
        for start in range(len(path) - len(wanted) + 1)
    )


def is_matrix(name: str, shape: tuple[int, ...]) -> bool:
    """Tell whether MLX can pack a parameter: linear layers, embeddings and experts, not the patch convolution."""
    return name.endswith(".weight") and len(shape) in (2, 3) and name != PATCH_EMBED and _POSITIONS not in name


def _choose(
    name: str,
    shape: tuple[int, ...],
    config: ModelConfig,
    *,
    base: Format,
    recipe: Recipe,
    asked: list[tuple[str, Format]],
) -> Choice:
    if not is_matrix(name, shape):
        return Choice(None)
    module = name.removesuffix(".weight")
    setting, reason = base, ""
    if name.startswith("vision_tower."):
        setting = None
    elif base is not None:
        for override in recipe.overrides:
            if fits_pattern(override.pattern, module) and (override.where == "all" or _is_edge(module, config)):
                setting = _raised(base, FORMATS[override.format_name])
                reason = f"{recipe.name} keeps {override.pattern} at {format_name(setting)}" if setting != base else ""
    for pattern, wanted in asked:
        if fits_pattern(pattern, module):
            setting, reason = wanted, f"--set {pattern}={format_name(wanted)}"
            if setting is not None and setting.bits < 8 and fits_pattern(ROUTER, module):
                reason += ": below 8 bits most tokens change their experts"
    if setting is not None and shape[-1] % setting.group_size:
        return _fallback(setting, shape[-1])
    return Choice(setting, reason)


def _fallback(setting: LayerQuantization, num_inputs: int) -> Choice:
    """Choose a smaller group that divides the inputs, or bfloat16."""
    why = f"{num_inputs} inputs are no multiple of the group size {setting.group_size}"
    for group_size in sorted(PACKED_FORMS[setting.mode][0], reverse=True):
        if group_size < setting.group_size and num_inputs % group_size == 0:
            return Choice(replace(setting, group_size=group_size), why)
    return Choice(None, why)


def _raised(base: LayerQuantization, wanted: Format) -> Format:
    """Take the wanted format unless the base, from --bits, has at least as many affine bits already."""
    if wanted is not None and base.mode == "affine" and base.bits >= wanted.bits:
        return base
    return wanted


def _is_edge(module: str, config: ModelConfig) -> bool:
    """Tell whether a module is in the first or last eighth of the decoder."""
    if not module.startswith(_LAYERS):
        return False
    layer_index, num_layers = int(module.removeprefix(_LAYERS).split(".")[0]), config.text.num_layers
    num_edge = max(1, num_layers // 8)
    return layer_index < num_edge or layer_index >= num_layers - num_edge
