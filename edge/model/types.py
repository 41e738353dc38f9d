"""Say what passes between the parts of the model: grids, vision results, visual rows.

Axes: B rows, L new tokens, M merged visual tokens, D hidden.
"""

from __future__ import annotations

import mlx.core as mx

from edge.records import dataclass

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
