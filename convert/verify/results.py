"""What a measurement says, as frozen records that print as JSON, and the sums over kinds of prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from convert.verify.kld import KldStatistics, SplitScore
from convert.verify.samples import Sample
from convert.verify.scores import TeacherLogits, TokenScores, targets_of

ALL = "all"
_POSITION_EDGES = (0, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 1 << 62)


@dataclass(frozen=True, slots=True)
class StageError:
    """The error of one block.

    Attributes:
        label: Block, as reports name it.
        kind: Vision block, DeepStack level, layer, ...
        index: Its number.
        carried: Relative error of the state behind it, ||found - reference|| / ||reference||, all before it included.
        own: Error of this block alone, fed the reference's input, relative to what the block adds to the state.
        worst: The same for the 99th percentile of tokens.
        with_media: `own` over prompts with pictures or videos; None for blocks of the tower.
        without_media: `own` over the other prompts.
        experts_changed: Share of tokens whose expert set changed; None without experts.
        router_changed: The same for the router alone, fed what the reference's router saw.
        expert_errors: Relative error of each expert on the same few tokens; None without experts.
    """

    label: str
    kind: str
    index: int
    carried: float
    own: float
    worst: float
    with_media: float | None = None
    without_media: float | None = None
    experts_changed: float | None = None
    router_changed: float | None = None
    expert_errors: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class KindScore:
    """All tokens of one kind of prompt.

    Attributes:
        kind: Kind of prompt, `all` for everything.
        num_prompts: Prompts.
        num_tokens: Scored tokens.
        mean_kl: Nats.
        p99_kl: 99th percentile, nats.
        top1: Share of tokens with the same likeliest token.
        top5: Mean share of the five likeliest tokens in both.
        reference_perplexity: Of the text that follows.
        perplexity: The candidate's.
        num_answers: Prompts that end with an answer.
        reference_right: Of these, how many the reference would answer so, word for word, choosing the likeliest.
        right: The candidate's number.
    """

    kind: str
    num_prompts: int
    num_tokens: int
    mean_kl: float
    p99_kl: float
    top1: float
    top5: float
    reference_perplexity: float
    perplexity: float
    num_answers: int
    reference_right: int
    right: int


@dataclass(frozen=True, slots=True)
class PositionScore:
    """Mean KL of the tokens between two places in their prompts."""

    first: int
    last: int
    num_tokens: int
    mean_kl: float


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that quantization does not explain: the block where it begins, and what was seen."""

    where: str
    what: str


@dataclass(frozen=True, slots=True)
class CandidateResult:
    """Everything measured of one candidate.

    Attributes:
        name: For tables.
        num_bytes: Size of its weight files.
        bits_per_weight: `num_bytes` by the parameters of the reference.
        stages: Errors by block, in order.
        kinds: Scores, `all` first.
        positions: KL by place in the prompt.
        head_kl: KL of the vocabulary projection alone, fed the reference's last state.
        findings: Suspected faults, the earliest first.
        notes: What a reader has to know about how it was measured.
        kld: The same over all tokens, in the words of llama.cpp's `--kl-divergence`; None in records without it.
        splits: Mean KLD by answer and prompt, behind pictures and not, unlike prompts apart.
    """

    name: str
    num_bytes: int
    bits_per_weight: float
    stages: tuple[StageError, ...]
    kinds: tuple[KindScore, ...]
    positions: tuple[PositionScore, ...]
    head_kl: float
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    kld: KldStatistics | None = None
    splits: tuple[SplitScore, ...] = ()

    @property
    def overall(self) -> KindScore:
        """The score over all prompts."""
        return self.kinds[0]


@dataclass(frozen=True, slots=True)
class Report:
    """A reference and what was held against it."""

    reference: str
    dtype: str
    prompts: str
    prompts_digest: str
    num_prompts: int
    num_tokens: int
    kept_tokens: int
    vocab_size: int
    kept_mass: float
    versions: dict[str, str]
    candidates: tuple[CandidateResult, ...]


def score_kinds(
    samples: Sequence[Sample], teachers: Sequence[TeacherLogits], scores: Sequence[TokenScores]
) -> tuple[KindScore, ...]:
    """Sum up by kind of prompt, all together first."""
    kinds = list(dict.fromkeys(sample.kind for sample in samples))
    rows = list(zip(samples, teachers, scores, strict=True))
    return (
        _score_kind(ALL, rows),
        *(_score_kind(kind, [row for row in rows if row[0].kind == kind]) for kind in kinds),
    )


def score_positions(samples: Sequence[Sample], scores: Sequence[TokenScores]) -> tuple[PositionScore, ...]:
    """Sum up by place in the prompt."""
    places = np.concatenate([sample.scored for sample in samples])
    kl = np.concatenate([score.kl for score in scores])
    found = []
    for first, end in pairwise(_POSITION_EDGES):
        inside = (places >= first) & (places < end)
        if inside.any():
            last = int(min(end - 1, places.max()))
            found.append(PositionScore(first, last, int(inside.sum()), float(kl[inside].mean())))
    return tuple(found)


def _score_kind(kind: str, rows: Sequence[tuple[Sample, TeacherLogits, TokenScores]]) -> KindScore:
    kl = np.concatenate([score.kl for _, _, score in rows])
    with_answer = [row for row in rows if row[0].answer is not None]

    def perplexity(logprob: Callable[[TeacherLogits, TokenScores], object]) -> float:
        values = np.concatenate([np.asarray(logprob(teacher, score)) for _, teacher, score in rows])
        return float(np.exp(-np.nanmean(values)))

    return KindScore(
        kind=kind,
        num_prompts=len(rows),
        num_tokens=len(kl),
        mean_kl=float(kl.mean()),
        p99_kl=float(np.percentile(kl, 99)),
        top1=float(np.concatenate([score.top1 for _, _, score in rows]).mean()),
        top5=float(np.concatenate([score.top5 for _, _, score in rows]).mean()),
        reference_perplexity=perplexity(lambda teacher, _: teacher.target_logprob),
        perplexity=perplexity(lambda _, score: score.target_logprob),
        num_answers=len(with_answer),
        reference_right=sum(
            _is_right(sample, teacher.tokens[:, 0] == targets_of(sample)) for sample, teacher, _ in with_answer
        ),
        right=sum(_is_right(sample, score.hits > 0) for sample, _, score in with_answer),
    )


def _is_right(sample: Sample, hits: np.ndarray) -> bool:
    """Tell whether every token of the answer is the likeliest one: then greedy decoding writes this answer."""
    assert sample.answer is not None, "only prompts with an answer are counted"
    first, stop = sample.answer
    predicts = (sample.scored >= first - 1) & (sample.scored < stop - 1)
    return bool(hits[predicts].all())
