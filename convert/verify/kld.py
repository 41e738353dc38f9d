"""Sum up a candidate in the words that users of KL-divergence tools know, and apart by what a token stands behind.

In: per-token scores of the reference and a candidate. Out: `KldStatistics` (the quantities that llama.cpp's
`--kl-divergence` prints) and `SplitScore`s: answer and prompt, after a picture and not, unlike prompts apart. Tokens of
one prompt are not independent, so standard errors count prompts, not tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from convert.verify.samples import Sample
from convert.verify.scores import Floats, TeacherLogits, TokenScores

Part = Literal["all", "answer", "prompt"]
Behind = Literal["all", "picture", "text"]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class KldStatistics:
    """What llama.cpp's `--kl-divergence` prints, over all scored tokens; KLD in nats, probabilities from 0 to 1.

    Attributes:
        mean_kld: Mean KL divergence of the candidate from the original.
        mean_kld_stderr: Its standard error, by prompts; None with one prompt.
        median_kld: Of tokens.
        kld_90: Percentile.
        kld_95: Percentile.
        kld_99: Percentile.
        kld_999: 99.9th percentile.
        max_kld: The worst token.
        same_top_p: Share of tokens whose likeliest token is the same.
        same_top_p_stderr: Its standard error, by prompts.
        mean_delta_p: Mean change of the probability of the token that follows.
        rms_delta_p: Root of its mean square.
        mean_ln_ppl_ratio: ln(PPL(Q)/PPL(base)), Q being the candidate.
        mean_ln_ppl_ratio_stderr: Its standard error, by prompts.
    """

    mean_kld: float
    mean_kld_stderr: float | None
    median_kld: float
    kld_90: float
    kld_95: float
    kld_99: float
    kld_999: float
    max_kld: float
    same_top_p: float
    same_top_p_stderr: float | None
    mean_delta_p: float
    rms_delta_p: float
    mean_ln_ppl_ratio: float
    mean_ln_ppl_ratio_stderr: float | None


@dataclass(frozen=True, slots=True)
class SplitScore:
    """Mean KLD of a part of all tokens.

    Attributes:
        is_unlike: Prompts marked as unlike what the candidate was made with; None for both.
        behind: Whether a picture or video stands before the token in its prompt.
        part: Whether the token belongs to the answer.
        num_prompts: Prompts with such tokens.
        num_tokens: Tokens.
        mean_kld: Nats.
        mean_kld_stderr: Standard error, by prompts; None with one prompt.
        same_top_p: Share of tokens whose likeliest token is the same.
    """

    is_unlike: bool
    behind: Behind
    part: Part
    num_prompts: int
    num_tokens: int
    mean_kld: float
    mean_kld_stderr: float | None
    same_top_p: float


def kld_statistics(teachers: Sequence[TeacherLogits], scores: Sequence[TokenScores]) -> KldStatistics:
    """Sum up all tokens of all prompts."""
    kl = np.concatenate([score.kl for score in scores])
    base = [np.exp(teacher.target_logprob) for teacher in teachers]
    deltas = [np.exp(score.target_logprob) - p for score, p in zip(scores, base, strict=True)]
    change = np.concatenate(deltas)
    ratios = [teacher.target_logprob - score.target_logprob for teacher, score in zip(teachers, scores, strict=True)]
    known = [ratio[np.isfinite(ratio)] for ratio in ratios]
    mean, error = mean_and_error([score.kl for score in scores])
    same, same_error = mean_and_error([score.top1 for score in scores])
    ratio, ratio_error = mean_and_error(known)
    median, *high = (float(value) for value in np.percentile(kl, (50, 90, 95, 99, 99.9)))
    return KldStatistics(
        mean_kld=mean,
        mean_kld_stderr=error,
        median_kld=median,
        kld_90=high[0],
        kld_95=high[1],
        kld_99=high[2],
        kld_999=high[3],
        max_kld=float(kl.max()),
        same_top_p=same,
        same_top_p_stderr=same_error,
        mean_delta_p=float(np.nanmean(change)),
        rms_delta_p=float(np.sqrt(np.nanmean(np.square(change)))),
        mean_ln_ppl_ratio=ratio,
        mean_ln_ppl_ratio_stderr=ratio_error,
    )


def split_scores(samples: Sequence[Sample], scores: Sequence[TokenScores]) -> tuple[SplitScore, ...]:
    """Sum up by unlike or not, behind a picture or not, answer or prompt; parts without a token are left out."""
    wanted: list[tuple[Behind, Part]] = [("all", "all")]
    wanted += [(behind, part) for behind in ("picture", "text") for part in ("all", "answer", "prompt")]
    found = [
        _split(samples, scores, is_unlike=is_unlike, behind=behind, part=part)
        for is_unlike in (False, True)
        for behind, part in wanted
    ]
    return tuple(score for score in found if score is not None)


def mean_and_error(groups: Sequence[Floats]) -> tuple[float, float | None]:
    """Return the mean over all values and its standard error, the values of one group being dependent.

    Args:
        groups: Values of each prompt; empty ones do not count.
    """
    filled = [group for group in groups if len(group)]
    sizes = np.array([len(group) for group in filled], np.float64)
    sums = np.array([group.sum() for group in filled], np.float64)
    mean = float(sums.sum() / sizes.sum()) if filled else float("nan")
    if len(filled) < 2:
        return mean, None
    spread = np.square(sums - mean * sizes).sum() * len(filled) / (len(filled) - 1)
    return mean, float(np.sqrt(spread) / sizes.sum())


def _split(
    samples: Sequence[Sample], scores: Sequence[TokenScores], *, is_unlike: bool, behind: Behind, part: Part
) -> SplitScore | None:
    chosen = [
        (score, _mask(sample, behind, part))
        for sample, score in zip(samples, scores, strict=True)
        if sample.is_unlike == is_unlike
    ]
    kept = [(score.kl[mask], score.top1[mask]) for score, mask in chosen if mask.any()]
    if not kept:
        return None
    mean, error = mean_and_error([kl for kl, _ in kept])
    tops = np.concatenate([top1 for _, top1 in kept])
    return SplitScore(is_unlike, behind, part, len(kept), len(tops), mean, error, float(tops.mean()))


def _mask(sample: Sample, behind: Behind, part: Part) -> Mask:
    """Tell which scored tokens of a prompt belong to a part; a token counts where the next one is predicted."""
    places = sample.scored
    mask = np.ones(len(places), np.bool_)
    if behind != "all":
        first = min((span.start for span in sample.prompt.spans), default=sample.length)
        mask &= (places >= first) == (behind == "picture")
    if part != "all":
        first, stop = sample.answer or (sample.length + 1, sample.length + 1)
        mask &= ((places >= first - 1) & (places < stop - 1)) == (part == "answer")
    return mask
