"""Spend a budget of bytes on an MLX folder: which matrices share a format, which formats each may have, what it costs.

In: a configuration, its weights where they are at hand, and a calibration if there is one. Out: a format for every
parameter. Projections that the model computes as one (q, k and v; gate and up) keep one format, so that they stay one
multiplication. Routers keep 8 bits or more, norms and biases stay as they are, and what the user fixed stays fixed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

from convert.budget.errors import Sampled, Samples, packing_error
from convert.budget.sensitivity import Costs, Weights, weigh
from convert.budget.solve import Option, Solution, Unit, least_bytes, solve
from convert.budget.target import TooSmallError
from convert.mlx.layout import SHARD_BYTES, lay_out_folder, parameter_bytes
from edge.checkpoint.folder import Checkpoint
from edge.checkpoint.names.hub import expected_parameters
from edge.checkpoint.names.joined import JOINED
from edge.checkpoint.names.ops import Shape
from edge.config import LayerQuantization, ModelConfig
from edge.errors import UsageError
from edge.plan.recipes import ROUTER, Choice, Format, fits_pattern, is_matrix

BITS, GROUPS = (3, 4, 5, 6, 8), (32, 64, 128)
_VISION_BITS = {True: (4, 5, 6, 8), False: (8,)}  # where a calibration weighs it, and where not
_ROUTER_BITS = (8,)
_HEADER_RESERVE, _MOST_TURNS = 64, 20
_PARTS = {part: joined for joined, parts in JOINED.items() for part in parts}
_LAYER_PART = re.compile(r"(.*\.layers\.\d+)\.(.+)\.weight")
Overrides = Sequence[tuple[str, Format]]


@dataclass(frozen=True, slots=True)
class Market:
    """Everything that can be bought: units with their options, and what is fixed.

    Attributes:
        config: The model.
        units: Matrices that share a format, and the options of each.
        members: Parameters of each unit.
        fixed: Formats that nothing decides: norms, biases, positions.
        fixed_bytes: Their bytes.
        costs: How errors were weighed.
        is_measured: Whether errors were measured on weights.
        samples: Rows of each matrix.
    """

    config: ModelConfig
    units: tuple[Unit[Format], ...]
    members: tuple[tuple[str, ...], ...]
    fixed: Mapping[str, Choice]
    fixed_bytes: int
    costs: Costs
    is_measured: bool
    samples: Mapping[str, Sampled]

    @property
    def least_bytes(self) -> int:
        """Bytes of all tensors at the smallest formats."""
        return self.fixed_bytes + least_bytes(self.units)

    def least_file_bytes(self, *, shard_bytes: int = SHARD_BYTES) -> int:
        """Bytes of the files of the smallest formats, headers included."""
        return lay_out_folder(self.config, _choices(self, self.smallest), shard_bytes=shard_bytes).file_bytes

    @property
    def smallest(self) -> Solution[Format]:
        """The smallest format of every unit."""
        options = tuple(min(unit.options, key=lambda option: option.num_bytes) for unit in self.units)
        return Solution(options, sum(option.loss for option in options))

    def loss_of(self, formats: Mapping[str, Format]) -> float:
        """Predict the loss of a folder whose affine formats are known by parameter; others are bfloat16."""
        return sum(
            self.costs.by_parameter[name] * packing_error(self.samples[name], setting, is_searched=True)
            for name, setting in formats.items()
        )

    def basis(self) -> str:
        """Say what the choice rests on."""
        errors = "measured on rows of each matrix" if self.is_measured else "modelled, as no weights were at hand"
        is_weighed = any(name.startswith("vision_tower.") for name in self.costs.measured)
        tower = "" if is_weighed else " The vision tower keeps 8 bits or more, as nothing weighs it."
        return f"{self.costs.sentence}{tower} Errors of each format are {errors}."


@dataclass(frozen=True, slots=True)
class Spending:
    """Formats under a budget, the loss that is expected of them, and whether every matrix has its best format."""

    choices: Mapping[str, Choice]
    solution: Solution[Format]
    tensor_bytes: int
    is_everything: bool

    @property
    def base(self) -> Format:
        """The format that most packed matrices have."""
        formats = Counter(choice.format for choice in self.choices.values() if choice.format is not None)
        return formats.most_common(1)[0][0] if formats else None


def open_market(
    config: ModelConfig,
    *,
    checkpoint: Checkpoint | None = None,
    weights: Weights | None = None,
    overrides: Overrides = (),
    is_searched: bool = True,
) -> Market:
    """Find out what every format of every matrix costs.

    Args:
        config: The model.
        checkpoint: Its weights; None where only shapes are known.
        weights: The calibration.
        overrides: Formats the user has fixed, by pattern; the last one counts.
        is_searched: Whether scales are searched.

    Raises:
        UsageError: An override fits no matrix.
        WeightError: A file is damaged.
    """
    shapes = expected_parameters(config)
    matrices = {name: shape for name, shape in shapes.items() if is_matrix(name, shape)}
    for pattern, _ in overrides:
        if not any(fits_pattern(pattern, name.removesuffix(".weight")) for name in matrices):
            raise UsageError(f"--set {pattern!r} fits no matrix of this model. Patterns look like self_attn.v_proj.")
    samples = None if checkpoint is None else Samples(checkpoint)
    found = {name: Sampled(None, 0.0) if samples is None else samples.take(name) for name in matrices}
    costs = weigh({name: found[name].mean_square * prod(shape) for name, shape in matrices.items()}, config, weights)
    groups = _group(matrices, overrides)
    units = tuple(
        _unit(members, matrices, found, costs=costs, overrides=overrides, is_searched=is_searched) for members in groups
    )
    fixed = {name: Choice(None) for name in shapes if name not in matrices}
    return Market(
        config,
        units,
        tuple(map(tuple, groups)),
        fixed,
        sum(parameter_bytes(name, shapes[name], None) for name in fixed),
        costs,
        any(sampled.rows is not None for sampled in found.values()),
        found,
    )


def spend(market: Market, *, budget: int, shard_bytes: int = SHARD_BYTES) -> Spending:
    """Choose formats whose files take at most `budget` bytes, headers included.

    Args:
        market: What can be bought.
        budget: Bytes of all files.
        shard_bytes: Bound of one file, as each has a header.

    Raises:
        TooSmallError: The smallest formats take more.
    """
    header_bytes = 0
    for _ in range(_MOST_TURNS):  # the headers' length depends a little on the formats in them
        free = budget - market.fixed_bytes - header_bytes
        is_least = least_bytes(market.units) > free
        if is_least and (least := market.least_file_bytes(shard_bytes=shard_bytes)) > budget:
            raise TooSmallError("formats", least)
        solution = market.smallest if is_least else solve(market.units, budget=free)
        choices = _choices(market, solution)
        layout = lay_out_folder(market.config, choices, shard_bytes=shard_bytes)
        if layout.file_bytes <= budget:
            best = sum(min(option.loss for option in unit.options) for unit in market.units)
            return Spending(choices, solution, layout.weight_bytes, is_everything=solution.loss <= best)
        header_bytes = max(header_bytes, layout.file_bytes - layout.weight_bytes) + _HEADER_RESERVE
    raise AssertionError("headers grow by less than their reserve")


def _choices(market: Market, solution: Solution[Format]) -> dict[str, Choice]:
    chosen = dict(market.fixed)
    for unit, members, option in zip(market.units, market.members, solution.chosen, strict=True):
        reason = unit.name if len(unit.options) == 1 else ""  # a unit without a choice is named by its reason
        chosen |= {name: Choice(option.key, reason) for name in members}
    return {name: chosen[name] for name in expected_parameters(market.config)}


def _group(matrices: Mapping[str, Shape], overrides: Overrides) -> list[list[str]]:
    """Put together what the model computes as one and the user has not fixed apart."""
    groups: dict[object, list[str]] = {}
    for name in matrices:
        match = _LAYER_PART.fullmatch(name)
        key: object = name
        if match is not None and match[2] in _PARTS:
            key = (match[1], _PARTS[match[2]], _override(name, overrides))
        groups.setdefault(key, []).append(name)
    return list(groups.values())


def _override(name: str, overrides: Overrides) -> tuple[str, Format] | None:
    module = name.removesuffix(".weight")
    return next((item for item in reversed(overrides) if fits_pattern(item[0], module)), None)


def _unit(
    members: Sequence[str],
    matrices: Mapping[str, Shape],
    samples: Mapping[str, Sampled],
    *,
    costs: Costs,
    overrides: Overrides,
    is_searched: bool,
) -> Unit[Format]:
    fixed = _override(members[0], overrides)
    num_inputs = matrices[members[0]][-1]
    settings = _formats(members[0], num_inputs, is_measured=members[0] in costs.measured)
    name = members[0].removesuffix(".weight")
    if len(settings) == 1:
        name = f"{num_inputs} inputs are no multiple of a group size"
    if fixed is not None:
        settings, name = [_fitting(fixed[1], num_inputs)], f"--set {fixed[0]}"
    options = [
        Option(
            setting,
            sum(parameter_bytes(member, matrices[member], setting) for member in members),
            sum(
                costs.by_parameter[member] * packing_error(samples[member], setting, is_searched=is_searched)
                for member in members
            )
            if len(settings) > 1
            else 0.0,
        )
        for setting in settings
    ]
    return Unit(name, tuple(options))


def _formats(name: str, num_inputs: int, *, is_measured: bool) -> list[Format]:
    """List the formats a matrix may have; the decoder's end at 8 bits, as more of them only make it slower."""
    module = name.removesuffix(".weight")
    bits: Sequence[int] = BITS
    most: list[Format] = []
    if module.startswith("vision_tower."):
        bits, most = _VISION_BITS[is_measured], [None]
    elif fits_pattern(ROUTER, module):
        bits, most = _ROUTER_BITS, [None]
    groups = [group for group in GROUPS if num_inputs % group == 0]
    packed = [LayerQuantization(group_size=group, bits=count, mode="affine") for count in bits for group in groups]
    return [*packed, *most] if packed else [None]


def _fitting(setting: Format, num_inputs: int) -> Format:
    """Give a fixed format a group that divides the inputs, or bfloat16 where none does."""
    if setting is None or num_inputs % setting.group_size == 0:
        return setting
    groups = [group for group in GROUPS if group < setting.group_size and num_inputs % group == 0]
    return replace(setting, group_size=max(groups)) if groups and setting.mode == "affine" else None
