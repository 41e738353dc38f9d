"""Read parameters from a checkpoint of any layout, some rows at a time, as float32.

In: a checked `Checkpoint` (hub, transformers 5, FP8, MLX, MLX packed). Out: numpy rows of the first axis: rows of a
matrix, experts of a stack. All operations of the name tables leave the first axis of expert stacks alone, so a few
experts can be read without the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from edge.weights.folder import Checkpoint
from edge.weights.ops import Shape
from edge.weights.table import Rule

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Unit:
    """Parameters that come from the same stored tensors: the two halves of gate_up_proj, or a single one.

    Attributes:
        names: Parameters, with the same number of rows.
        rules: One rule; weight, scales and biases of a packed module have one each.
        can_slice: Whether rows may be read without the others.
    """

    names: tuple[str, ...]
    shapes: tuple[Shape, ...]
    rules: tuple[Rule, ...]
    can_slice: bool

    @property
    def num_rows(self) -> int:
        """Rows of the first axis."""
        return self.shapes[0][0]


def list_units(checkpoint: Checkpoint, shapes: Mapping[str, Shape]) -> list[Unit]:
    """Group a checkpoint's parameters by what is read together.

    Args:
        checkpoint: The source.
        shapes: Every parameter's unpacked shape (`expected_parameters`).
    """
    by_target = {target.name: rule for rule in checkpoint.rules for target in rule.targets}
    units = []
    for rule in checkpoint.rules:
        names = tuple(target.name for target in rule.targets)
        module = names[0].rpartition(".")[0]
        if module in checkpoint.quantized:
            if names[0].endswith(".weight"):
                parts = [f"{module}.{part}" for part in ("weight", "scales", "biases")]
                rules = tuple(by_target[part] for part in parts if part in by_target)
                units.append(Unit(names, (shapes[names[0]],), rules, can_slice=True))
            elif names[0].endswith(".bias"):
                units.append(Unit(names, (shapes[names[0]],), (rule,), can_slice=True))
        else:
            is_stack = all(len(shape) == 3 for shape in rule.source_shapes())
            units.append(Unit(names, tuple(shapes[name] for name in names), (rule,), not rule.ops or is_stack))
    return units


def read_rows(checkpoint: Checkpoint, unit: Unit, start: int, stop: int) -> dict[str, Floats]:
    """Read rows `start` to `stop` of a unit's parameters, float32."""
    if not unit.can_slice:
        whole = _whole(checkpoint, unit.rules[0])
        return {name: _numpy(array[start:stop]) for name, array in whole.items()}
    first = unit.rules[0]
    module = unit.names[0].rpartition(".")[0]
    if len(unit.rules) > 1:
        setting = checkpoint.quantized[module]
        packed = [_read(checkpoint, rule.sources, start, stop)[0] for rule in unit.rules]
        scales = packed[1].astype(mx.float32) if setting.mode == "affine" else packed[1]
        biases = packed[2].astype(mx.float32) if len(packed) > 2 else None
        weight = mx.dequantize(
            packed[0], scales, biases, group_size=setting.group_size, bits=setting.bits, mode=setting.mode
        )
        return {unit.names[0]: _numpy(weight)}
    arrays: tuple[mx.array, ...] = tuple(_read(checkpoint, first.sources, start, stop))
    for op in first.ops:
        arrays = op.apply(arrays)
    return {name: _numpy(array) for name, array in zip(unit.names, arrays, strict=True)}


def _whole(checkpoint: Checkpoint, rule: Rule) -> dict[str, mx.array]:
    return rule.apply([checkpoint.source.read(name) for name in rule.sources])


def _read(checkpoint: Checkpoint, names: Sequence[str], start: int, stop: int) -> list[mx.array]:
    return [checkpoint.source.read(name, start, stop) for name in names]


def _numpy(array: mx.array) -> Floats:
    """Copy to numpy; bfloat16 is widened there, which is quicker than in MLX on a CPU."""
    if array.dtype == mx.bfloat16:
        bits = np.array(mx.contiguous(array).view(mx.uint16))
        return (bits.astype(np.uint32) << 16).view(np.float32)
    return np.array(array.astype(mx.float32))
