"""Choose how every weight of a checkpoint is stored: the recipes of the converter as data, one row each.

In: a model configuration, a recipe, overrides. Out: a `Choice` for every parameter. A pattern is a few dotted
names, each a glob: `self_attn.v_proj`, `layers.0.mlp`, `vision_tower`. It fits every module whose path holds
these names one after another; of several that fit, the last one counts. The converter writes what is chosen here,
and the plan of a model's memory counts it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Literal

from edge.checkpoint.names.hub import PATCH_EMBED, expected_parameters
from edge.config import LayerQuantization, ModelConfig
from edge.config_json import PACKED_FORMS
from edge.errors import UsageError
from edge.records import dataclass

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


def _bits(setting: Format) -> int:
    return 16 if setting is None else setting.bits


@dataclass(frozen=True, slots=True)
class Override:
    """More bits for the modules that fit a pattern; `edges` leaves out all but the first and last layers."""

    pattern: str
    format_name: str
    where: Literal["all", "edges"] = "all"


@dataclass(frozen=True, slots=True)
class Recipe:
    """A named policy: the format of the decoder's matrices, and what gets more bits than that.

    Attributes:
        name: What `--recipe` calls it.
        sentence: What `--help` says of it.
        format_name: The format with the fewest bits of the recipe; the vision tower stays as it is without an override.
        overrides: What gets more bits.
    """

    name: str
    sentence: str
    format_name: str
    overrides: tuple[Override, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a row that could not be carried out: an override raises, so the row begins with its fewest bits."""
        for override in self.overrides:
            assert _bits(FORMATS[override.format_name]) >= _bits(self.format), (
                f"recipe {self.name}: {override.pattern} at {override.format_name} has fewer bits than "
                f"{self.format_name}. Make the fewest bits the recipe's format, and let the overrides raise the rest."
            )

    @property
    def format(self) -> Format:
        """The format of the decoder's matrices."""
        return FORMATS[self.format_name]


@dataclass(frozen=True, slots=True)
class Choice:
    """How one parameter is stored, and why where that is not what the recipe's format says."""

    format: Format
    reason: str = ""


# 8 bits: on the 30B with the router at 4 bits only 42 % of the tokens keep the set of experts they had.
_ROUTER_SAFE = Override(ROUTER, "8bit")


def _careful(format_name: str) -> tuple[Override, ...]:
    """Spend bits on attention's v and o, on the first and last layers' down projections, embedding and head."""
    return (
        _ROUTER_SAFE,
        Override("self_attn.v_proj", format_name),
        Override("self_attn.o_proj", format_name),
        Override("down_proj", format_name, where="edges"),
        Override(EMBEDDING, format_name),
        Override(HEAD, format_name),
    )


# Experts are nearly all of the bytes; what each token passes through is a small part that pays for its bits.
_ALL_BUT_EXPERTS = (
    _ROUTER_SAFE,
    Override("self_attn", "6bit"),
    Override(EMBEDDING, "6bit"),
    Override(HEAD, "6bit"),
    Override("vision_tower", "8bit"),
)

_ALL = (
    Recipe("bf16", "Nothing lost: the published weights, in the layout MLX reads without work.", "bf16"),
    Recipe("8bit", "Hardly to be told from bf16, at about half its size.", "8bit", (_ROUTER_SAFE,)),
    Recipe("6bit", "Very close to bf16, at 0.42 of its size.", "6bit", (_ROUTER_SAFE,)),
    Recipe("5bit", "Close to bf16, at 0.36 of its size.", "5bit", (_ROUTER_SAFE,)),
    Recipe(
        "4bit-mixed",
        "4 bits, but 6 to 8 for attention v/o, the outer layers' down projections, embedding and head.",
        "4bit",
        _careful("6bit"),
    ),
    Recipe(
        "4bit-experts",
        "4 bits for experts (of dense models: for MLPs), 6 for attention, embedding, head, 8 for the vision tower.",
        "4bit",
        _ALL_BUT_EXPERTS,
    ),
    Recipe("4bit", "The usual choice: a small loss, at 0.3 of the size.", "4bit", (_ROUTER_SAFE,)),
    Recipe("mxfp8", "8-bit floats of the OCP standard, groups of 32.", "mxfp8", (_ROUTER_SAFE,)),
    Recipe("mxfp4", "4-bit floats of the OCP standard, groups of 32: quick on new chips.", "mxfp4", (_ROUTER_SAFE,)),
    Recipe("nvfp4", "NVIDIA's 4-bit floats, groups of 16: more exact than mxfp4.", "nvfp4", (_ROUTER_SAFE,)),
    Recipe(
        "3bit-mixed",
        "3 bits, but 5 to 8 for attention v/o, the outer layers' down projections, embedding and head.",
        "3bit",
        _careful("5bit"),
    ),
    Recipe(
        "3bit-experts",
        "3 bits for experts (of dense models: for MLPs), 6 for attention, embedding, head, 8 for the vision tower.",
        "3bit",
        _ALL_BUT_EXPERTS,
    ),
    Recipe("3bit", "When 4 bits do not fit: a loss that shows, at 0.24 of the size.", "3bit", (_ROUTER_SAFE,)),
)
RECIPES: Mapping[str, Recipe] = MappingProxyType({recipe.name: recipe for recipe in _ALL})
# Recipes from the least loss on to the most, as measured on the demo checkpoint (docs/measured.md). Size alone would
# advise 3bit-mixed before 3bit-experts, which is smaller and loses less.
LEAST_LOSS_FIRST = (
    *("bf16", "8bit", "6bit", "mxfp8", "5bit", "4bit-experts", "4bit-mixed", "4bit", "3bit-experts"),
    *("nvfp4", "3bit-mixed", "mxfp4", "3bit"),
)


def recipe_formats(config: ModelConfig, name: str) -> dict[str, Choice]:
    """Choose the format of every parameter as a recipe says.

    Args:
        config: The model.
        name: Of the recipe.
    """
    return choose_formats(config, base=RECIPES[name].format, recipe=RECIPES[name])


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
    if not set(pattern) & set("*?["):
        return f".{pattern}." in f".{module}."
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
    setting, reason = None if name.startswith("vision_tower.") else base, ""
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


def _raised(base: Format, wanted: Format) -> Format:
    """Take the wanted format unless the base, from --bits, has at least as many affine bits already."""
    if base is None or (base.mode == "affine" and base.bits >= _bits(wanted)):
        return base
    return wanted


def _is_edge(module: str, config: ModelConfig) -> bool:
    """Tell whether a module is in the first or last eighth of the decoder."""
    if not module.startswith(_LAYERS):
        return False
    layer_index, num_layers = int(module.removeprefix(_LAYERS).split(".")[0]), config.text.num_layers
    num_edge = max(1, num_layers // 8)
    return layer_index < num_edge or layer_index >= num_layers - num_edge
