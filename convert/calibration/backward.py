"""Bring the gradient of the loss back through one decoder layer, computing it anew, and square it per matrix.

In: the states before the layer of some prompts (T, D), and the gradient behind it. Out: the gradient before it, and for
every matrix the sum over prompts of its squared gradient. A gradient is the product of what came back to a matrix's
outputs and what it saw, so its square is taken without making a matrix as large as an expert's.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from convert.calibration.arithmetic import softmax_back, square_of, swiglu, swiglu_back
from convert.calibration.experts import Routing
from convert.calibration.forward import LayerPass, prompts_of
from convert.calibration.moments import Floats
from convert.calibration.weights import Expert
from convert.verify.samples import Sample
from edge.config import TextConfig

Squares = dict[str, float]


def turn_layer_back(
    layer: LayerPass, text: TextConfig, hidden: Floats, samples: Sequence[Sample], cotangent: Floats
) -> tuple[Floats, Squares]:
    """Bring a gradient back.

    Args:
        layer: The layer.
        text: The decoder.
        hidden: States before it, all prompts (T, D).
        samples: The prompts.
        cotangent: Gradient of the summed loss behind it (T, D).

    Returns:
        The gradient before it, and by matrix (what follows the layer's number) the sum of squares.
    """
    squares: Squares = {}
    behind, rows, _ = layer.attend(hidden, samples)
    starts = [0, *np.cumsum([sample.length for sample in samples]).tolist()]
    routing = layer.route(rows)
    seen_back = _experts_back(layer, rows, routing, starts, cotangent, squares)
    before = np.empty_like(hidden)
    for place, rope in prompts_of(samples, text):
        total = cotangent[place] + layer.normed_back(behind[place], seen_back[place])
        attended = layer.attention.attend(hidden[place], rope)
        before[place], gradients = layer.attention.turn_back(hidden[place], attended, rope, total)
        for name, (outputs, inputs) in gradients.items():
            squares[name] = squares.get(name, 0.0) + square_of(outputs, inputs)
    return before, squares


def _experts_back(
    layer: LayerPass, rows: Floats, routing: Routing, starts: list[int], cotangent: Floats, squares: Squares
) -> Floats:
    """Bring the gradient to what the experts and the router see (T, D)."""
    back = np.zeros_like(rows)
    weights_back = np.zeros_like(routing.weights)
    stack = "mlp.switch_mlp." if layer.router is not None else "mlp."
    for expert in layer.weights.experts():
        tokens, weights = routing.of(expert.index)
        if not len(tokens):
            continue
        factors, given, weight_back = _expert_back(expert, rows[tokens], weights, cotangent[tokens])
        back[tokens] += given
        places = np.nonzero(routing.experts == expert.index)[1]
        weights_back[tokens, places] = weight_back
        edges = np.searchsorted(tokens, starts).tolist()
        for name, (outputs, seen) in factors.items():
            parts = (square_of(outputs[a:b], seen[a:b]) for a, b in pairwise(edges) if a < b)
            squares[f"{stack}{name}"] = squares.get(f"{stack}{name}", 0.0) + sum(parts)
    if layer.router is not None:
        scores_back = _choice_back(routing, weights_back)
        back += scores_back @ layer.router
        squares["mlp.gate"] = sum(square_of(scores_back[a:b], rows[a:b]) for a, b in pairwise(starts))
    return back


def _expert_back(
    expert: Expert, inputs: Floats, weights: Floats, outer: Floats
) -> tuple[dict[str, tuple[Floats, Floats]], Floats, Floats]:
    """Return the gradients of an expert's matrices as factors, of its inputs (n, D), and of its weights (n,)."""
    gate, up = inputs @ expert.gate.T, inputs @ expert.up.T
    middle = swiglu(gate, up)
    weight_back = (outer * (middle @ expert.down.T)).sum(axis=1)
    down_back: Floats = outer * weights[:, None]
    gate_back, up_back = swiglu_back(gate, up, down_back @ expert.down)
    given = gate_back @ expert.gate + up_back @ expert.up
    factors = {"gate_proj": (gate_back, inputs), "up_proj": (up_back, inputs), "down_proj": (down_back, middle)}
    return factors, given, weight_back


def _choice_back(routing: Routing, weights_back: Floats) -> Floats:
    """Bring the gradient of the chosen experts' weights to the scores of all (T, E)."""
    scores_back = np.zeros_like(routing.scores)
    np.put_along_axis(scores_back, routing.experts, softmax_back(routing.weights, weights_back), axis=1)
    return scores_back
