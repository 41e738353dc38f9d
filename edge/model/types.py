"""Say what passes between the parts of the model: vision results, visual rows, mask and cache.

Axes: B batch, L new tokens, M merged visual tokens, D hidden, H kv heads, S cached + new tokens, Dh head size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import mlx.core as mx

Mask = mx.array | Literal["causal"] | None
"""(B, 1, L, S) booleans with True = attend; "causal" with the new tokens last; None = attend to everything."""

Grid = tuple[int, int, int]
"""Patches of one media in time, height and width (`grid_thw`)."""


@dataclass(frozen=True, slots=True)
class VisionOutput:
    """What the vision tower gives for some media: features (M, D) and one (M, D) array per DeepStack level."""

    features: mx.array
    deepstack: tuple[mx.array, ...]


@dataclass(frozen=True, slots=True)
class VisualRows:
    """Visual tokens inside one forward: where they lie in the flat (B*L) rows, and what stands there.

    Attributes:
        row_indexes: (K,) int32, positions in the flattened (B, L) tokens, increasing.
        output: Features and DeepStack levels of exactly these K tokens.
    """

    row_indexes: mx.array
    output: VisionOutput


class LayerCache(Protocol):
    """Keys and values of one decoder layer; mlx-lm's caches fit."""

    def update_and_fetch(self, keys: mx.array, values: mx.array) -> tuple[mx.array, mx.array]:
        """Append (B, H, L, Dh) keys and values; return all of them, (B, H, S, Dh)."""
        ...
