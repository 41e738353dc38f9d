"""Positions of patches, computed on the host from the grids: table interpolation and 2-D rotary angles.

Patch rows come in merge-block order: (frame, block row, block column, row in block, column in block).
Source: transformers 5.23 vision_utils.py, differs in: one frame is computed and repeated, not every patch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge.config import VisionConfig
from edge.model.frequencies import inverse_frequencies
from edge.model.types import Grid

VISION_ROPE_THETA = 10000.0
"""Base of the tower's rotary embedding (in the reference's code, not in config.json)."""


def patch_coordinates(height: int, width: int, merge_size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return row and column of every patch of one frame in merge-block order, (height * width,) each."""
    rows, columns = np.indices((height, width))
    blocks = (height // merge_size, merge_size, width // merge_size, merge_size)
    return (
        rows.reshape(blocks).transpose(0, 2, 1, 3).reshape(-1),
        columns.reshape(blocks).transpose(0, 2, 1, 3).reshape(-1),
    )


def position_taps(
    height: int, width: int, *, side: int, merge_size: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Find the four table entries of every patch and their bilinear weights (corners aligned).

    Args:
        height: Patches per column of the frame.
        width: Patches per row of the frame.
        side: Rows of the square position table.
        merge_size: Patches per visual token along one axis.

    Returns:
        Indexes into the flat table, (4, height * width), and weights of the same shape that sum to one.
    """
    row, column = patch_coordinates(height, width, merge_size)
    row_taps, row_weights = _axis_taps(height, side)
    column_taps, column_weights = _axis_taps(width, side)
    pairs = [(a, b) for a in (0, 1) for b in (0, 1)]
    indexes = np.stack([row_taps[a][row] * side + column_taps[b][column] for a, b in pairs])
    weights = np.stack([row_weights[a][row] * column_weights[b][column] for a, b in pairs])
    return indexes.astype(np.int32), weights


def rotary_angles(grids: Sequence[Grid], config: VisionConfig) -> NDArray[np.float32]:
    """Return the angles of every patch, (N, Dh / 2) float32: a quarter head for rows, a quarter for columns."""
    half = config.head_dim // 2
    frequencies = inverse_frequencies(VISION_ROPE_THETA, half)
    parts = []
    for frames, height, width in grids:
        row, column = patch_coordinates(height, width, config.spatial_merge_size)
        angles = np.stack([row, column], axis=1).astype(np.float32)[..., None] * frequencies
        parts.append(np.tile(angles.reshape(len(row), half), (frames, 1)))
    return np.concatenate(parts)


def _axis_taps(size: int, side: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    # float32 and this order of operations as in the reference: the weights come out equal, not only close
    source = np.arange(size, dtype=np.float32) * np.float32(side - 1) / np.float32(max(size - 1, 1))
    floor = np.floor(source)
    taps = np.stack([floor, floor + 1]).astype(np.int64)
    weights = 1 - np.abs(source - np.stack([floor, floor + 1]))
    return np.clip(taps, 0, side - 1), weights.clip(min=0).astype(np.float32)
