"""Padded batches: ids, positions, masks and flat rows."""

from __future__ import annotations

import numpy as np

from edge.model.batch import batch_mask, decode_positions, flat_rows, pad_batch
from edge.model.rope import is_plain

IDS = [np.array([5, 6, 7], dtype=np.int32), np.array([8], dtype=np.int32)]
POSITIONS = [np.array([[0, 1, 2]] * 3), np.array([[4]] * 3)]


def test_left_padding_keeps_the_last_tokens_in_the_last_column() -> None:
    batch = pad_batch(IDS, POSITIONS, side="left", pad_token_id=99)
    assert batch.token_ids.tolist() == [[5, 6, 7], [99, 99, 8]]
    assert batch.is_token.tolist() == [[True, True, True], [False, False, True]]
    assert batch.starts.tolist() == [0, 2]


def test_right_padding_keeps_the_first_tokens_in_the_first_column() -> None:
    batch = pad_batch(IDS, POSITIONS, side="right", pad_token_id=99)
    assert batch.token_ids.tolist() == [[5, 6, 7], [8, 99, 99]]
    assert batch.starts.tolist() == [0, 0]


def test_a_padded_batch_of_text_still_has_plain_positions() -> None:
    assert is_plain(pad_batch(IDS, POSITIONS, side="left").positions)
    assert is_plain(pad_batch(IDS, POSITIONS, side="right").positions)
    assert pad_batch(IDS, POSITIONS, side="left").positions[0].tolist() == [[0, 1, 2], [2, 3, 4]]


def test_a_mask_is_causal_and_hides_padding() -> None:
    is_token = np.array([[True, True, True], [False, True, True]])
    mask = np.array(batch_mask(is_token, num_new=2))[:, 0].astype(int)
    assert mask.tolist() == [[[1, 1, 0], [1, 1, 1]], [[0, 1, 0], [0, 1, 1]]]


def test_a_padding_query_sees_only_itself() -> None:
    mask = np.array(batch_mask(np.array([[False, False, True]]), num_new=3))[0, 0].astype(int)
    assert mask.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_decode_positions_are_one_per_row() -> None:
    assert decode_positions([7, 30]).tolist() == [[[7], [30]]] * 3


def test_visual_columns_become_flat_rows() -> None:
    rows = flat_rows([np.array([1, 2]), np.array([0])], starts=np.array([0, 2]), length=5)
    assert rows.tolist() == [1, 2, 7]
    assert rows.dtype == np.int32
