"""Put prompts of unlike length into one batch: padded ids, positions per row, masks, flat visual rows.

Plain numpy on the host. Padding columns take part in the arithmetic and nobody sees them; their positions go on
from the row's own, so that a batch of text rows still takes the fused rope.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

Side = Literal["left", "right"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of equal length.

    Attributes:
        token_ids: (B, L) int32.
        positions: (3, B, L) int32.
        is_token: (B, L), False for padding.
        starts: (B,) column of each row's first token.
    """

    token_ids: NDArray[np.int32]
    positions: NDArray[np.int32]
    is_token: NDArray[np.bool_]
    starts: NDArray[np.int64]


def pad_batch(
    token_ids: Sequence[NDArray[np.integer]],
    positions: Sequence[NDArray[np.integer]],
    *,
    side: Side = "left",
    pad_token_id: int = 0,
) -> Batch:
    """Pad rows to the longest one.

    Args:
        token_ids: One (L_i,) array per row, none empty.
        positions: One (3, L_i) array per row.
        side: Where the padding goes. Left keeps every row's last token in the last column.
        pad_token_id: Any valid id.
    """
    length = max(len(row) for row in token_ids)
    padded_ids = np.full((len(token_ids), length), pad_token_id, dtype=np.int32)
    padded_positions = np.zeros((3, len(token_ids), length), dtype=np.int32)
    is_token = np.zeros((len(token_ids), length), dtype=np.bool_)
    starts = np.array([length - len(row) if side == "left" else 0 for row in token_ids])
    for index, (ids, places, start) in enumerate(zip(token_ids, positions, starts, strict=True)):
        stop = start + len(ids)
        padded_ids[index, start:stop] = ids
        is_token[index, start:stop] = True
        padded_positions[:, index, :start] = places[:, :1] + np.arange(-start, 0)
        padded_positions[:, index, start:stop] = places
        padded_positions[:, index, stop:] = places[:, -1:] + np.arange(1, length - stop + 1)
    return Batch(padded_ids, padded_positions, is_token, starts)


def batch_mask(is_token: NDArray[np.bool_], *, num_new: int) -> mx.array:
    """Build the mask of the last columns of a padded batch.

    Args:
        is_token: Cached and new columns, (B, S); False for padding.
        num_new: L, the columns of this forward, the last ones.

    Returns:
        (B, 1, L, S) booleans, True = attend: tokens before or at the query, no padding. A padding query sees
        itself, since a row of scores with nothing to attend to has no softmax.
    """
    num_columns = is_token.shape[1]
    queries = np.arange(num_columns - num_new, num_columns)[:, None]
    keys = np.arange(num_columns)[None]
    seen = (keys <= queries) & is_token[:, None] | (keys == queries)
    return mx.array(seen[:, None])


def decode_positions(next_positions: Sequence[int] | NDArray[np.integer]) -> NDArray[np.int32]:
    """Return the positions (3, B, 1) of one generated token per row."""
    row = np.asarray(next_positions, dtype=np.int32)
    return np.broadcast_to(row[None, :, None], (3, len(row), 1))


def flat_rows(columns: Sequence[NDArray[np.integer]], *, starts: NDArray[np.integer], length: int) -> NDArray[np.int32]:
    """Turn the visual tokens of each row into rows of the flattened (B * L) batch.

    Args:
        columns: Per row, indexes of its visual tokens in the unpadded prompt.
        starts: `Batch.starts`.
        length: L of the batch.

    Returns:
        (K,) int32, row after row, for `VisualRows`.
    """
    parts = [index * length + start + own for index, (own, start) in enumerate(zip(columns, starts, strict=True))]
    return np.concatenate(parts).astype(np.int32)
