"""The feed-forward side of a decoder layer over all prompts: one expert after another, with what each of them saw.

In: the states behind the attention, the router, and the experts as they are read. Out: the states behind the layer,
second moments, and on the way back the gradients. A dense layer is one expert with weight 1 for every token.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from convert.calibration.arithmetic import swiglu
from convert.calibration.moments import MIDDLE_PULL, Floats, levelled, own_share, pack_triangle, triangle_size
from convert.calibration.weights import Expert
from edge.model.moe import route

_MOST_PROBES = 512
_ROWS_AT_ONCE = 4096
Indexes = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Routing:
    """Where tokens go: experts (T, A) int32, their weights (T, A), and the router's scores (T, E)."""

    experts: Indexes
    weights: Floats
    scores: Floats

    def of(self, expert: int) -> tuple[NDArray[np.int64], Floats]:
        """Return the tokens of an expert and their weights."""
        tokens, places = np.nonzero(self.experts == expert)
        return tokens, self.weights[tokens, places]

    def near(self, expert: int, count: int) -> NDArray[np.int64]:
        """Return the tokens that came closest to an expert and went elsewhere; of a lone expert, none."""
        scores = self.scores[:, expert].copy()
        scores[(self.experts == expert).any(axis=1)] = -np.inf
        order = np.argsort(-scores, kind="stable")[: min(count, int(np.isfinite(scores).sum()))]
        return np.sort(order)


def route_tokens(rows: Floats, router: Floats | None, experts_per_token: int) -> Routing:
    """Send tokens to experts.

    Args:
        rows: What the router sees (T, D).
        router: Its matrix (E, D); None sends everything to one expert.
        experts_per_token: Number of experts of each token.
    """
    if router is None:
        ones = np.ones((len(rows), 1), np.float32)
        return Routing(np.zeros((len(rows), 1), np.int32), ones, ones)
    logits = rows @ router.T
    experts, weights = route(mx.array(logits), experts_per_token)
    return Routing(np.array(experts).astype(np.int32), np.array(weights), logits)


def run_experts(rows: Floats, routing: Routing, experts: Iterable[Expert], moments: MiddleMoments) -> Floats:
    """Compute what the experts add to the states.

    Args:
        rows: What they see (T, D).
        routing: Where tokens go.
        experts: All of them.
        moments: Told what each down projection sees, and would have seen of tokens that came close.

    Returns:
        The sum of the chosen experts (T, D).
    """
    added = np.zeros_like(rows)
    for expert in experts:
        tokens, weights = routing.of(expert.index)
        total = np.zeros((len(expert.gate), len(expert.gate)), np.float32)
        for start in range(0, len(tokens), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            middle = middle_of(expert, rows[tokens[part]])
            added[tokens[part]] += (middle @ expert.down.T) * weights[part][:, None]
            total += middle.T @ middle
        near = middle_of(expert, rows[routing.near(expert.index, _MOST_PROBES)])
        moments.take(expert.index, total, len(tokens), near)
    return added


def middle_of(expert: Expert, rows: Floats) -> Floats:
    """Return what the down projection sees of rows (n, D): (n, I)."""
    return swiglu(rows @ expert.gate.T, rows @ expert.up.T)


class MiddleMoments:
    """Second moments before the down projections, a triangle per expert, blended with near tokens', levelled."""

    def __init__(self, num_experts: int, width: int) -> None:
        self.matrices = np.empty((num_experts, triangle_size(width)), np.float32)
        self.counts = np.zeros(num_experts, np.int64)
        self._width = width

    def take(self, expert: int, total: Floats, num_tokens: int, near: Floats) -> None:
        """Keep an expert's moments.

        Args:
            expert: Its number.
            total: Sum of x x^T over its tokens.
            num_tokens: How many they are.
            near: What it makes of tokens that came close (P, I).
        """
        self.counts[expert] = num_tokens
        share = own_share(num_tokens, self._width) if len(near) else 1.0
        matrix = levelled(total * np.float32(share / max(1, num_tokens)), num_tokens, pull=MIDDLE_PULL)
        if len(near):
            matrix += levelled((near.T @ near) * np.float32((1 - share) / len(near)), len(near), pull=MIDDLE_PULL)
        self.matrices[expert] = pack_triangle(matrix)
