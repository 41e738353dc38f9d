"""Hold logits against the reference's: KL, agreement and likelihood of every scored token.

The reference is kept as its largest logits and the log-sum-exp. With a vocabulary of up to `TOP_TOKENS` that is
everything and KL is exact; with a larger one the rest counts as one more token, which makes KL a lower bound
(off by less than the rest's mass times its own divergence; the mass is reported).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.verify.samples import Sample
from convert.verify.stages import Array, Blocks

TOP_TOKENS = 1024
ROWS_AT_ONCE = 32  # a row of a large vocabulary takes 0.6 MB, and ten times as much while it is worked on
_SMALLEST = 1e-12
Floats = NDArray[np.float64]
Indexes = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class TeacherLogits:
    """The reference's prediction at S scored positions.

    Attributes:
        tokens: (S, K) its likeliest tokens, best first.
        values: (S, K) their logits, float32.
        lse: (S,) log of the sum over the whole vocabulary.
        target_logprob: (S,) of the token that follows; NaN at a prompt's end.
    """

    tokens: Indexes
    values: Array
    lse: Floats
    target_logprob: Floats


@dataclass(frozen=True, slots=True, eq=False)
class TokenScores:
    """A candidate at S scored positions of one prompt; booleans and shares as float64.

    Attributes:
        kl: KL of the reference to the candidate, in nats.
        top1: Whether the likeliest token is the same.
        top5: Share of the five likeliest tokens that are in both.
        target_logprob: Of the token that follows; NaN at a prompt's end.
        hits: Whether the token that follows is the likeliest one.
    """

    kl: Floats
    top1: Floats
    top5: Floats
    target_logprob: Floats
    hits: Floats


def targets_of(sample: Sample) -> Indexes:
    """Return the token after each scored position, -1 at the end, (S,)."""
    following = np.append(sample.prompt.token_ids[1:], -1)
    return following[sample.scored].astype(np.int32)


def teacher_logits(blocks: Blocks, hidden: Array, sample: Sample) -> TeacherLogits:
    """Project the scored rows of (L, D) and keep what comparisons need."""
    targets = targets_of(sample)
    parts = [_keep(logits, targets[rows]) for rows, logits in _project(blocks, hidden[sample.scored])]
    return TeacherLogits(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def score_sample(blocks: Blocks, hidden: Array, sample: Sample, teacher: TeacherLogits) -> TokenScores:
    """Project a candidate's scored rows and hold them against the reference."""
    targets = targets_of(sample)
    parts = [
        _score(logits, targets[rows], teacher.tokens[rows], teacher.values[rows], teacher.lse[rows])
        for rows, logits in _project(blocks, hidden[sample.scored])
    ]
    return TokenScores(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _project(blocks: Blocks, hidden: Array) -> Iterator[tuple[slice, Array]]:
    for start in range(0, len(hidden), ROWS_AT_ONCE):
        rows = slice(start, min(start + ROWS_AT_ONCE, len(hidden)))
        yield rows, blocks.logits(np.ascontiguousarray(hidden[rows]))


def _keep(logits: Array, targets: Indexes) -> tuple[Indexes, Array, Floats, Floats]:
    tokens = _largest(logits, min(TOP_TOKENS, logits.shape[1]))
    lse = _log_sum_exp(logits)
    return tokens, np.take_along_axis(logits, tokens, 1), lse, _logprob_of(logits, lse, targets)


def _score(
    logits: Array, targets: Indexes, tokens: Indexes, values: Array, lse: Floats
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    own_lse = _log_sum_exp(logits)
    log_p = values - lse[:, None]
    log_q = np.take_along_axis(logits, tokens, 1) - own_lse[:, None]
    p = np.exp(log_p)
    kl = (p * (log_p - log_q)).sum(1)
    if tokens.shape[1] < logits.shape[1]:
        rest_p = np.maximum(1 - p.sum(1), _SMALLEST)
        rest_q = np.maximum(1 - np.exp(log_q).sum(1), _SMALLEST)
        kl += rest_p * np.log(rest_p / rest_q)
    own = _largest(logits, min(5, logits.shape[1]))
    shared = (own[:, :, None] == tokens[:, None, : own.shape[1]]).any(2).mean(1)
    same = (own[:, 0] == tokens[:, 0]).astype(np.float64)
    hits = (own[:, 0] == targets).astype(np.float64)
    return np.maximum(kl, 0.0), same, shared, _logprob_of(logits, own_lse, targets), hits


def _largest(logits: Array, count: int) -> Indexes:
    """Return the tokens with the largest logits, best first, ties by number."""
    if count < logits.shape[1]:
        found = np.sort(np.argpartition(logits, -count, axis=1)[:, -count:], axis=1)
    else:
        found = np.broadcast_to(np.arange(count), logits.shape)
    order = np.argsort(-np.take_along_axis(logits, found, 1), axis=1, kind="stable")
    return np.take_along_axis(found, order, 1).astype(np.int32)


def _log_sum_exp(logits: Array) -> Floats:
    largest = logits.max(1, keepdims=True).astype(np.float64)
    sums: Floats = np.log(np.exp(logits - largest).sum(1)) + largest[:, 0]
    return sums


def _logprob_of(logits: Array, lse: Floats, targets: Indexes) -> Floats:
    chosen = np.take_along_axis(logits, np.maximum(targets, 0)[:, None], 1)[:, 0] - lse
    return np.where(targets >= 0, chosen, np.nan)
