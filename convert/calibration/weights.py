"""Read a decoder layer in float32, a few experts at a time, from any layout.

In: an opened checkpoint. Out: the parameters of a layer's attention side, and its experts (a dense layer is one expert
that every token goes to). Files are read in pieces, so that memory holds some experts and nothing else of the layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import mlx.core as mx
import numpy as np

from convert.calibration.moments import Floats
from convert.calibration.sites import LAYER
from convert.pieces import cut_rule, list_rules, read_piece
from edge.checkpoint.folder import Checkpoint
from edge.config import TextConfig

_AT_ONCE = 2**24  # weights of the experts in memory; 64 MB in float32
_ALL = 2**62
_STACK, _DENSE = "mlp.switch_mlp.", "mlp."
_FED = ("gate_proj.weight", "up_proj.weight", "down_proj.weight")


@dataclass(frozen=True, slots=True)
class Expert:
    """The matrices of one expert, float32: gate and up (I, D), down (D, I)."""

    index: int
    gate: Floats
    up: Floats
    down: Floats


class LayerWeights:
    """The parameters of one decoder layer, by what follows its number in their names."""

    def __init__(self, checkpoint: Checkpoint, index: int) -> None:
        self._infos = checkpoint.source.tensors
        self._prefix = f"{LAYER}{index}."
        own = [rule for rule in list_rules(checkpoint) if rule.targets[0].name.startswith(self._prefix)]
        text = checkpoint.config.text
        self.is_sparse = text.is_sparse_layer(index)
        self._experts = [rule for rule in own if _is_fed(rule.targets[0].name)]
        self._others = [rule for rule in own if not _is_fed(rule.targets[0].name)]
        self._num_experts = num_experts(text, index)
        self.middle_width = text.moe.intermediate_size if text.moe and self.is_sparse else text.intermediate_size

    def others(self) -> dict[str, Floats]:
        """Read everything but the feed-forward matrices: norms, attention, router."""
        found: dict[str, Floats] = {}
        for rule in self._others:
            (piece,) = cut_rule(rule, piece_weights=_ALL)
            for name, array in read_piece(self._infos, piece).items():
                found[name.removeprefix(self._prefix)] = np.array(array.astype(mx.float32))
        return found

    def experts(self) -> Iterator[Expert]:
        """Read the experts in order; a dense layer has one, number 0."""
        if not self.is_sparse:
            found = self._read(0, None)
            yield Expert(0, *(found[f"{_DENSE}{name}"] for name in _FED))
            return
        weights = sum(prod(target.shape[1:]) for rule in self._experts for target in rule.targets)
        step = max(1, _AT_ONCE // weights)
        for start in range(0, self._num_experts, step):
            found = self._read(start, step)
            for index in range(min(step, self._num_experts - start)):
                yield Expert(start + index, *(found[f"{_STACK}{name}"][index] for name in _FED))

    def _read(self, start: int, step: int | None) -> dict[str, Floats]:
        """Read `step` experts from `start` on, or everything."""
        found: dict[str, Floats] = {}
        for rule in self._experts:
            row_weights = sum(prod(target.shape[1:]) for target in rule.targets)
            pieces = list(cut_rule(rule, piece_weights=_ALL if step is None else step * row_weights))
            # A rule whose operations mix rows comes whole.
            piece = next((piece for piece in pieces if piece.start == start), pieces[0])
            for name, array in read_piece(self._infos, piece).items():
                rows = array if step is None else array[start - piece.start :][:step]
                found[name.removeprefix(self._prefix)] = np.array(rows.astype(mx.float32))
        mx.clear_cache()
        return found


def num_experts(text: TextConfig, index: int) -> int:
    """Count a layer's experts, one where it is dense."""
    return text.moe.num_experts if text.moe is not None and text.is_sparse_layer(index) else 1


def _is_fed(name: str) -> bool:
    return name.endswith(_FED) and ".mlp." in name
