"""Queue one decode step of some rows: the forward, and the choice of what follows it.

In: rows with a pending token each, and perhaps guesses behind it. Out: what the step gives each row, being computed.
"""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx

from edge.run.checked import Checked, choose_checked
from edge.run.forward import DecoderModel, check_rows, decode_rows
from edge.run.row import Row, Step
from edge.run.sample import sample_rows

Following = Step | mx.array | Checked
"""What a step gives a row: its next token; logits (V,) to choose it from later; what became of its guesses."""


def queue_step(model: DecoderModel, rows: Sequence[Row]) -> dict[Row, Following]:
    """Start computing what follows the pending token of each row; logits where that has to be read first."""
    pending = [row.pending.token for row in rows if row.pending is not None]
    positions, memories = [row.next_position for row in rows], [row.memory for row in rows]
    if any(row.guess.token_ids for row in rows):
        guesses = [mx.array(row.guess.token_ids, dtype=mx.int32) for row in rows]
        tokens = [mx.concatenate([token, guess]) for token, guess in zip(pending, guesses, strict=True)]
        checked = check_rows(model, tokens, positions, memories)
        _count_queued(rows)
        steps = _choose_unlike(rows, checked)
    else:
        logits = decode_rows(model, pending, positions, memories)
        _count_queued(rows)
        steps = _choose(rows, logits)
    mx.async_eval([step if isinstance(step, mx.array) else step.arrays for step in steps.values()])
    return steps


def _count_queued(rows: Sequence[Row]) -> None:
    for row in rows:
        row.num_cached += 1 + len(row.guess.token_ids)
        row.count_pending()


def _choose(rows: Sequence[Row], logits: mx.array) -> dict[Row, Following]:
    """Choose the next token of each row from logits (B, V); its logits where the pending token must be read first."""
    if any(row.waits_for_token for row in rows):
        return {row: logits[i] if row.waits_for_token else row.choose(logits[i]) for i, row in enumerate(rows)}
    tokens = sample_rows([row.sampler for row in rows], logits)
    return {row: row.step_of(tokens[i : i + 1], logits[i]) for i, row in enumerate(rows)}


def _choose_unlike(rows: Sequence[Row], logits: Sequence[mx.array]) -> dict[Row, Following]:
    """Choose from logits (G + 1, V) of each row with G guesses, G 0 for some."""
    plain = {row: own for row, own in zip(rows, logits, strict=True) if not row.guess.token_ids}
    steps = _choose(list(plain), mx.concatenate(list(plain.values()))) if plain else {}
    return steps | {row: choose_checked(row, own) for row, own in zip(rows, logits, strict=True) if row.guess.token_ids}
