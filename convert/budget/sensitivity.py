"""How much a parameter's relative error costs: from a calibration's Fisher weights, or from its kind and place alone.

In: parameter names, and a calibration if there is one. Out: for each the predicted KL in nats per token of an error as
large as the weights themselves, for small errors: half the Fisher weight times the sum of the weights' squares.

Without a calibration the same quantity is taken from a table by kind. A relative error of a matrix gives its output
the same relative error, whatever its size, so the table needs no sizes: it holds what the kinds of the demo checkpoint
bear (embedding and head most; the first layer several times the last, most of it in q, k, v and o). With more layers
each adds less to what passes through them, so a layer's share falls with their number; the first one's extra does not.
Vision blocks are not weighed without a calibration: they keep 8 bits or more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from edge.config import ModelConfig

LAYERS = "language_model.model.layers."
_USUAL_LAYERS = 4  # of the checkpoint that the table was measured on
# kind -> loss of a relative squared error of 1, in nats: in any layer, and what the first layer bears beyond that
_ENDS = {"embed_tokens": 0.9, "lm_head": 1.2}
_IN_LAYERS = {
    "self_attn.q_proj": (0.1, 0.7),
    "self_attn.k_proj": (0.05, 0.35),
    "self_attn.v_proj": (0.26, 0.37),
    "self_attn.o_proj": (0.23, 0.6),
    "gate_proj": (0.08, 0.03),
    "up_proj": (0.08, 0.03),
    "down_proj": (0.1, 0.13),
    "mlp.gate": (0.06, 0.03),
}
_EARLY, _LATE = 1.2, 0.8  # an early layer's error passes through all the others
_MERGER = {"merger.linear_fc1": 0.47, "merger.linear_fc2": 0.06}
_VISION = 0.006


class Weights(Protocol):
    """What is asked of a calibration."""

    def fisher(self, tensor: str) -> float | None:
        """Return the mean squared gradient over a parameter's numbers; None where it was not measured."""
        ...


@dataclass(frozen=True, slots=True)
class Costs:
    """Loss of each parameter at a relative squared error of 1.

    Attributes:
        by_parameter: In nats per token.
        measured: Parameters whose loss a calibration tells; the others' is by their kind.
        sentence: Where the numbers are from.
    """

    by_parameter: Mapping[str, float]
    measured: frozenset[str]
    sentence: str

    @property
    def is_measured(self) -> bool:
        """Tell whether a calibration decided."""
        return bool(self.measured)


def weigh(energies: Mapping[str, float], config: ModelConfig, weights: Weights | None) -> Costs:
    """Weigh parameters.

    Args:
        energies: Sum of squares of each parameter's numbers.
        config: The model.
        weights: The calibration.
    """
    usual = {name: usual_cost(name, config) for name in energies}
    if weights is None:
        return Costs(usual, frozenset(), f"{_BY_KIND}, as no calibration was given.")
    found = {name: weights.fisher(name) for name in energies}
    known = {name: value * energies[name] / 2 for name, value in found.items() if value is not None}
    if not known or not sum(known.values()):
        return Costs(usual, frozenset(), f"{_BY_KIND}, as the calibration holds no Fisher weights.")
    # What was not measured gets its usual cost, at the scale of what was.
    scale = sum(known.values()) / sum(usual[name] for name in known)
    costs = {name: known.get(name, scale * usual[name]) for name in energies}
    missing = len(energies) - len(known)
    rest = f"; {missing} that it lacks by their kind" if missing else ""
    sentence = f"Bits follow the calibration's Fisher weights ({len(known)} matrices{rest})."
    return Costs(costs, frozenset(known), sentence)


_BY_KIND = "Bits follow each matrix's error and its kind (embedding, head and the first layer's attention weigh most)"


def usual_cost(name: str, config: ModelConfig) -> float:
    """Return the loss of a parameter by its kind and layer."""
    module = name.removesuffix(".weight")
    if module.startswith("vision_tower."):
        return next((cost for kind, cost in _MERGER.items() if module.endswith(f"vision_tower.{kind}")), _VISION)
    layer = re.match(re.escape(LAYERS) + r"(\d+)\.", module)
    if layer is None:
        return next(cost for kind, cost in _ENDS.items() if module.endswith(kind))
    usual, first = next(costs for kind, costs in _IN_LAYERS.items() if module.endswith(kind))
    index, num_layers = int(layer[1]), config.text.num_layers
    depth = index / max(1, num_layers - 1)
    share = usual * _USUAL_LAYERS / num_layers * (_EARLY + (_LATE - _EARLY) * depth)
    return share + first if index == 0 else share
