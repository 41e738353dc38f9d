"""Sums over kinds of prompts and places: weights, percentiles, whole answers."""

from __future__ import annotations

import numpy as np
import pytest

from convert.verify.results import score_kinds, score_positions
from convert.verify.scores import TeacherLogits, TokenScores
from tests.unit.convert.verify.prompts import sample


def teacher(best: list[int], logprob: float) -> TeacherLogits:
    size = len(best)
    tokens = np.array(best, np.int32)[:, None]
    return TeacherLogits(tokens, np.zeros((size, 1), np.float32), np.zeros(size), np.full(size, logprob))


def scored(kl: list[float], hits: list[int], logprob: float) -> TokenScores:
    size = len(kl)
    target = np.append(np.full(size - 1, logprob), np.nan)
    return TokenScores(np.array(kl), np.ones(size), np.ones(size), target, np.array(hits, float))


FIRST, SECOND = sample(1, 2, 3, kind="text", answer=1), sample(4, 5, 6, kind="code", answer=2)
TEACHERS = [teacher([2, 3, 9], -1.0), teacher([0, 6, 9], -1.0)]
SCORES = [scored([0.0, 0.3, 0.6], [1, 1, 0], -2.0), scored([1.0, 1.0, 4.0], [0, 0, 0], -2.0)]


def test_all_prompts_come_first_and_every_token_weighs_the_same() -> None:
    kinds = score_kinds([FIRST, SECOND], TEACHERS, SCORES)
    assert [kind.kind for kind in kinds] == ["all", "text", "code"]
    assert kinds[0].mean_kl == pytest.approx(6.9 / 6)
    assert kinds[1].mean_kl == pytest.approx(0.3)
    assert kinds[2].p99_kl == pytest.approx(np.percentile([1, 1, 4], 99))


def test_perplexity_leaves_out_the_end_of_a_prompt() -> None:
    overall = score_kinds([FIRST, SECOND], TEACHERS, SCORES)[0]
    assert overall.perplexity == pytest.approx(np.exp(2))
    assert overall.reference_perplexity == pytest.approx(np.exp(1))


def test_an_answer_is_right_when_each_of_its_tokens_is_the_likeliest() -> None:
    overall = score_kinds([FIRST, SECOND], TEACHERS, SCORES)[0]
    assert (overall.num_answers, overall.reference_right, overall.right) == (2, 2, 1)


def test_places_are_those_in_the_prompt_not_among_scored_tokens() -> None:
    picture = sample(*range(40), span=(4, 20))
    kl = np.where(picture.scored < 16, 1.0, 3.0)
    size = len(kl)
    score = TokenScores(kl, np.ones(size), np.ones(size), np.zeros(size), np.zeros(size))
    found = score_positions([picture], [score])
    assert [(place.first, place.last, place.mean_kl) for place in found] == [(0, 15, 1.0), (16, 31, 3.0), (32, 39, 3.0)]
