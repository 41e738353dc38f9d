"""Read the tables of a model: rows of the embedding, and small or large parameters whole, in float32."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from convert.calibration.moments import Floats
from convert.pieces import Piece, cut_rule, list_rules, read_piece
from edge.checkpoint.folder import Checkpoint


def read_rows_of(checkpoint: Checkpoint, name: str, rows: NDArray[np.int64]) -> Floats:
    """Return rows of a matrix by number (R, in); it is read in pieces, and only what is asked for stays."""
    found: Floats | None = None
    for piece in _pieces(checkpoint, name):
        is_here = (rows >= piece.start) & (rows < piece.stop)
        array = read_piece(checkpoint.source.tensors, piece)[name]
        if found is None:
            found = np.zeros((len(rows), array.shape[1]), np.float32)
        picked = array[mx.array(rows[is_here] - piece.start)].astype(mx.float32)
        found[is_here] = np.array(picked)
    assert found is not None, f"{name} has no rows"
    return found


def read_whole(checkpoint: Checkpoint, name: str) -> Floats:
    """Return a parameter."""
    pieces = _pieces(checkpoint, name)
    whole = np.empty(pieces[0].whole.targets[0].shape, np.float32)
    for piece in pieces:
        whole[piece.start : piece.stop] = np.array(
            read_piece(checkpoint.source.tensors, piece)[name].astype(mx.float32)
        )
    return whole


def _pieces(checkpoint: Checkpoint, name: str) -> list[Piece]:
    rule = next(rule for rule in list_rules(checkpoint) if rule.targets[0].name == name)
    return list(cut_rule(rule))
