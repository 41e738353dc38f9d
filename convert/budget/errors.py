"""What packing costs a matrix: squared error relative to the weights' squares, measured on some rows or modelled.

In: a checkpoint and a parameter's name, or nothing. Out: relative squared errors by format. A few tens of thousand
numbers tell a matrix's error to about two per cent, so a model of any size takes seconds, and of an expert stack only
four experts are read. Where there are no weights to read (or only zeros), normally distributed ones are assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from math import prod
from types import MappingProxyType

import mlx.core as mx

from convert.mlx.quantize import quantize_rows
from convert.pieces import Infos, cut_rule, list_rules, read_piece
from edge.checkpoint.folder import Checkpoint
from edge.checkpoint.names.table import Rule
from edge.plan.recipes import Format

SAMPLE_WEIGHTS = 2**16
_SPREAD = 4  # places in a matrix that are looked at
# (bits, group size) -> relative squared error of normally distributed weights with searched scales
MODELLED: Mapping[tuple[int, int], float] = MappingProxyType(
    {
        (3, 32): 2.158e-2,
        (3, 64): 2.789e-2,
        (3, 128): 3.258e-2,
        (4, 32): 5.030e-3,
        (4, 64): 6.857e-3,
        (4, 128): 8.507e-3,
        (5, 32): 1.206e-3,
        (5, 64): 1.669e-3,
        (5, 128): 2.125e-3,
        (6, 32): 3.026e-4,
        (6, 64): 4.147e-4,
        (6, 128): 5.258e-4,
        (8, 32): 1.930e-5,
        (8, 64): 2.574e-5,
        (8, 128): 3.224e-5,
    }
)
Sampler = Callable[[str], mx.array | None]


@dataclass(frozen=True, slots=True)
class Sampled:
    """Rows of a parameter (R, inputs), float32, and the mean square of its numbers; no rows where there are none."""

    rows: mx.array | None
    mean_square: float


class Samples:
    """Reads some rows of any parameter of a checkpoint."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._infos: Infos = checkpoint.source.tensors
        self._rules: dict[str, Rule] = {target.name: rule for rule in list_rules(checkpoint) for target in rule.targets}

    def take(self, name: str) -> Sampled:
        """Read rows at a few places of a parameter.

        Raises:
            WeightError: The file is damaged.
        """
        rule = self._rules[name]
        num_rows = rule.targets[0].shape[0]
        row_weights = max(1, sum(prod(target.shape[1:]) for target in rule.targets))
        pieces = cut_rule(rule, piece_weights=max(row_weights, SAMPLE_WEIGHTS // _SPREAD))
        count = max(1, num_rows * row_weights // max(row_weights, SAMPLE_WEIGHTS // _SPREAD))
        step = max(1, count // _SPREAD)
        chosen = islice(pieces, step // 2, None, step)
        found = [_thinned(read_piece(self._infos, piece)[name]) for piece in islice(chosen, _SPREAD)]
        rows = mx.concatenate(found)
        mean_square = float(mx.square(rows).mean())
        return Sampled(rows if mean_square > 0 else None, mean_square)


def _thinned(array: mx.array) -> mx.array:
    """Keep evenly spaced rows, as float32."""
    rows = array.reshape(-1, array.shape[-1])
    most = max(1, SAMPLE_WEIGHTS // _SPREAD // rows.shape[-1])
    kept = rows[:: max(1, rows.shape[0] // most)][:most].astype(mx.float32)
    mx.eval(kept)
    return kept


def packing_error(sampled: Sampled, setting: Format, *, is_searched: bool) -> float:
    """Return the relative squared error of a format.

    Args:
        sampled: Rows whose length is a multiple of the format's group size.
        setting: An affine format, or None for bfloat16.
        is_searched: Whether scales are searched.
    """
    if setting is None:
        return 0.0
    if sampled.rows is None:
        return MODELLED[setting.bits, setting.group_size]
    parts = quantize_rows(sampled.rows, setting, is_searched=is_searched)
    scales, biases = (parts[part].astype(mx.float32) for part in ("scales", "biases"))
    found = mx.dequantize(parts["weight"], scales, biases, group_size=setting.group_size, bits=setting.bits)
    return float(mx.square(found - sampled.rows).mean()) / sampled.mean_square
