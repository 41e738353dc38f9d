"""Statistics in llama.cpp's words, parts of the tokens, and standard errors by prompts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from convert.verify.kld import kld_statistics, mean_and_error, split_scores
from convert.verify.scores import TeacherLogits, TokenScores
from tests.unit.convert.verify.prompts import sample


def teacher(logprobs: list[float]) -> TeacherLogits:
    size = len(logprobs)
    return TeacherLogits(
        np.zeros((size, 1), np.int32), np.zeros((size, 1), np.float32), np.zeros(size), np.array(logprobs)
    )


def scored(kl: list[float], top1: list[float] | None = None, logprobs: list[float] | None = None) -> TokenScores:
    ones = np.ones(len(kl))
    return TokenScores(np.array(kl), np.array(top1 or ones), ones, np.array(logprobs or ones), ones)


def test_the_mean_weighs_tokens_and_its_error_counts_prompts() -> None:
    groups = [np.array([1.0, 1.0, 1.0]), np.array([4.0])]
    mean, error = mean_and_error(groups)
    assert mean == pytest.approx(7 / 4)
    assert error == pytest.approx(np.sqrt(2 * ((3 - 21 / 4) ** 2 + (4 - 7 / 4) ** 2)) / 4)


def test_copies_of_one_token_in_a_prompt_do_not_make_the_error_smaller() -> None:
    few, many = ([np.full(count, value) for value in (1.0, 2.0, 4.0)] for count in (1, 100))
    assert mean_and_error(few) == pytest.approx(mean_and_error(many))


def test_one_prompt_has_no_standard_error() -> None:
    assert mean_and_error([np.array([1.0, 2.0])])[1] is None


def test_the_statistics_are_those_of_llama_cpp() -> None:
    before, after = [np.log(0.5), np.log(0.2), np.nan], [np.log(0.4), np.log(0.4), np.nan]
    found = kld_statistics(
        [teacher(before), teacher([np.log(0.5)])],
        [scored([0.1, 0.3, 0.8], [1.0, 0.0, 1.0], after), scored([0.2], [1.0], [np.log(0.25)])],
    )
    assert (found.mean_kld, found.median_kld, found.max_kld) == pytest.approx((0.35, 0.25, 0.8))
    assert found.same_top_p == 0.75
    assert found.mean_delta_p == pytest.approx((-0.1 + 0.2 - 0.25) / 3)
    assert found.rms_delta_p == pytest.approx(np.sqrt((0.01 + 0.04 + 0.0625) / 3))
    assert found.mean_ln_ppl_ratio == pytest.approx((np.log(0.5 / 0.4) + np.log(0.2 / 0.4) + np.log(2)) / 3)


def test_tokens_are_split_where_the_next_one_is_predicted() -> None:
    picture = sample(*range(10), span=(2, 3), answer=8)  # scores places 0, 5 to 9; the answer is predicted by 7 and 8
    assert picture.scored.tolist() == [0, 5, 6, 7, 8, 9]
    found = split_scores([picture], [scored([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])])
    means = {(score.behind, score.part): score.mean_kld for score in found}
    assert means[("picture", "answer")] == 4.5
    assert means[("picture", "prompt")] == pytest.approx((2 + 3 + 6) / 3)
    assert means[("text", "all")] == means[("text", "prompt")] == 1.0
    assert ("text", "answer") not in means


def test_unlike_prompts_are_summed_apart() -> None:
    usual, unlike = sample(1, 2, 3), replace(sample(1, 2, 3), is_unlike=True)
    found = split_scores([usual, unlike], [scored([1.0, 1.0, 1.0]), scored([5.0, 5.0, 5.0])])
    totals = {score.is_unlike: score.mean_kld for score in found if (score.behind, score.part) == ("all", "all")}
    assert totals == {False: 1.0, True: 5.0}
