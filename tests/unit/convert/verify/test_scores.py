"""KL, agreement and likelihood against their definitions in float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from convert.verify import scores
from convert.verify.samples import Sample
from convert.verify.scores import TeacherLogits, TokenScores, score_sample, targets_of, teacher_logits
from convert.verify.stages import Array, Blocks, Experts, LayerOutput
from edge.model.types import Grid
from tests.unit.convert.verify.prompts import sample

TEXT = sample(3, 1, 4, 1, 5, 9, 2, 6)
ROWS, VOCAB = 8, 40


@dataclass
class Head(Blocks):
    """A model whose hidden states are its logits."""

    def start_vision(self, patches: Array, grid: Grid) -> Array:
        raise NotImplementedError

    def vision_block(self, index: int, hidden: Array, grid: Grid) -> Array:
        raise NotImplementedError

    def merge(self, level: int | None, hidden: Array) -> Array:
        raise NotImplementedError

    def embed(self, sample: Sample, features: Array | None) -> Array:
        raise NotImplementedError

    def layer(self, index: int, hidden: Array, sample: Sample, level: Array | None) -> LayerOutput:
        raise NotImplementedError

    def choose_experts(self, index: int, router_input: Array) -> Experts:
        raise NotImplementedError

    def probe_experts(self, index: int, rows: Array) -> Array:
        raise NotImplementedError

    def logits(self, hidden: Array) -> Array:
        return hidden

    def release(self) -> None:
        raise NotImplementedError


def random_logits(seed: int, scale: float = 3.0) -> Array:
    return (np.random.default_rng(seed).standard_normal((ROWS, VOCAB)) * scale).astype(np.float32)


def softmax(logits: Array) -> np.ndarray:
    values = np.exp(logits.astype(np.float64))
    shares: np.ndarray = values / values.sum(1, keepdims=True)
    return shares


def compared(reference: Array, candidate: Array, own: Sample = TEXT) -> tuple[TeacherLogits, TokenScores]:
    teacher = teacher_logits(Head(), reference, own)
    return teacher, score_sample(Head(), candidate, own, teacher)


def test_kl_is_exact_for_a_small_vocabulary() -> None:
    reference, candidate = random_logits(1), random_logits(2)
    p, q = softmax(reference), softmax(candidate)
    _, found = compared(reference, candidate)
    assert found.kl == pytest.approx((p * np.log(p / q)).sum(1), rel=1e-6)


def test_kl_with_a_rest_is_a_lower_bound_that_tightens(monkeypatch: pytest.MonkeyPatch) -> None:
    reference, candidate = random_logits(1), random_logits(2)
    exact = compared(reference, candidate)[1].kl
    bounds = []
    for top_tokens in (4, 16, 32):
        monkeypatch.setattr(scores, "TOP_TOKENS", top_tokens)
        bounds.append(compared(reference, candidate)[1].kl)
    assert (bounds[0] <= bounds[1] + 1e-9).all()
    assert (bounds[1] <= bounds[2] + 1e-9).all()
    assert (bounds[2] <= exact + 1e-9).all()
    assert bounds[2].mean() > 0.95 * exact.mean()


def test_equal_logits_agree_in_everything() -> None:
    logits = random_logits(3)
    _, found = compared(logits, logits)
    assert found.kl.max() < 1e-12
    assert found.top1.all()
    assert (found.top5 == 1).all()


def test_a_shift_of_all_logits_changes_nothing() -> None:
    _, found = compared(random_logits(3), random_logits(3) + 7)
    assert found.kl.max() < 1e-9


def test_agreement_counts_the_likeliest_tokens() -> None:
    reference = np.tile(np.arange(VOCAB, dtype=np.float32), (ROWS, 1))
    candidate = reference.copy()
    candidate[:, VOCAB - 1] = -1  # the best goes; the next four stay, a sixth comes in
    _, found = compared(reference, candidate)
    assert not found.top1.any()
    assert found.top5 == pytest.approx(np.full(ROWS, 0.8))


def test_likelihood_is_that_of_the_next_token_and_missing_at_the_end() -> None:
    logits = random_logits(4)
    teacher, found = compared(logits, logits)
    expected = np.log(softmax(logits)[np.arange(ROWS - 1), TEXT.prompt.token_ids[1:]])
    assert found.target_logprob[:-1] == pytest.approx(expected, rel=1e-6)
    assert teacher.target_logprob[:-1] == pytest.approx(expected, rel=1e-6)
    assert np.isnan(found.target_logprob[-1])


def test_placeholders_of_pictures_are_neither_scored_nor_predicted() -> None:
    own = sample(7, 8, 30, 30, 9, 5, span=(2, 2))
    assert own.scored.tolist() == [0, 4, 5]
    assert targets_of(own).tolist() == [8, 5, -1]


def test_long_prompts_are_projected_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    reference, candidate = random_logits(1), random_logits(2)
    whole = compared(reference, candidate)[1]
    monkeypatch.setattr(scores, "ROWS_AT_ONCE", 3)
    parts = compared(reference, candidate)[1]
    assert np.array_equal(whole.kl, parts.kl)
    assert np.array_equal(whole.hits, parts.hits)
