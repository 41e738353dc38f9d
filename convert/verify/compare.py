"""Run a candidate step by step beside the kept reference and measure it.

Every block runs twice: on the candidate's own states (the error carried so far) and on the reference's (the error
of this block alone). Finished steps are kept, so that a killed run goes on and reports the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from convert.verify.candidates import Candidate
from convert.verify.findings import find_faults
from convert.verify.kld import kld_statistics, split_scores
from convert.verify.results import CandidateResult, StageError, score_kinds, score_positions
from convert.verify.samples import SampleSet
from convert.verify.scores import TeacherLogits, TokenScores, score_sample
from convert.verify.stages import Array, Experts, LayerOutput, Stage, layer_name, list_stages, run_stage
from convert.verify.store import StateStore, write_json
from convert.verify.teacher import Say, probe_name

SCORES = "scores"
_RECORDS = ("kl", "top1", "top5", "target_logprob", "hits")
_WITH_INPUT = ("vision block", "layer")  # what they add is measured, not the state they pass on


def run_candidate(
    candidate: Candidate,
    samples: SampleSet,
    *,
    teacher: StateStore,
    logits: Sequence[TeacherLogits],
    num_parameters: int,
    say: Say,
) -> CandidateResult:
    """Measure a candidate.

    Args:
        candidate: Checked to belong to the reference.
        samples: All prompts.
        teacher: The reference's states.
        logits: The reference's predictions.
        num_parameters: Of the reference, for bits per weight.
        say: Told what is done.
    """
    store = StateStore(teacher.folder / f"candidate-{candidate.digest}")
    stages = list_stages(candidate.config, has_media=bool(samples.media))
    errors = _run_stages(candidate, stages, samples, teacher=teacher, store=store, say=say)
    last = layer_name(candidate.config.text.num_layers - 1)
    if not store.has(SCORES):
        say(f"{candidate.name}: logits ({len(stages) + 1} of {len(stages) + 1})")
        _save_scores(store, candidate, samples, logits, own=store.hidden(last), fed=teacher.hidden(last))
        for stage in stages:
            store.drop(stage.name)
    scores = _load_scores(store, len(samples.samples))
    head_kl = float(np.concatenate([score.kl for score in _load_scores(store, len(samples.samples), "fed.")]).mean())
    return CandidateResult(
        name=candidate.name,
        num_bytes=candidate.num_bytes,
        bits_per_weight=8 * candidate.num_bytes / num_parameters,
        stages=tuple(errors),
        kinds=score_kinds(samples.samples, logits, scores),
        positions=score_positions(samples.samples, scores),
        head_kl=head_kl,
        findings=find_faults(errors, head_kl=head_kl),
        kld=kld_statistics(logits, scores),
        splits=split_scores(samples.samples, scores),
    )


def _run_stages(
    candidate: Candidate,
    stages: Sequence[Stage],
    samples: SampleSet,
    *,
    teacher: StateStore,
    store: StateStore,
    say: Say,
) -> list[StageError]:
    """Run all stages that no earlier run has recorded."""
    errors = []
    for number, stage in enumerate(stages, start=1):
        record = store.folder / f"{stage.name}.json"
        if not record.exists():
            say(f"{candidate.name}: {stage.label} ({number} of {len(stages) + 1})")
            write_json(record, asdict(_run_stage(candidate, stage, samples, teacher, store)))
            candidate.blocks.release()
        errors.append(_read_record(record))
    return errors


def _run_stage(
    candidate: Candidate, stage: Stage, samples: SampleSet, teacher: StateStore, store: StateStore
) -> StageError:
    expected = teacher.hidden(stage.name)
    carried = run_stage(candidate.blocks, stage, samples, store)
    fed = carried if stage.source is None else run_stage(candidate.blocks, stage, samples, teacher)
    store.save(stage.name, carried)
    inputs = teacher.hidden(stage.source) if stage.source and stage.kind in _WITH_INPUT else None
    own = [output.hidden for output in fed]
    with_media = [bool(sample.media_ids) for sample in samples.samples]
    is_split = stage.kind == "layer" and any(with_media) and not all(with_media)
    experts = teacher.experts(stage.name)
    return StageError(
        label=stage.label,
        kind=stage.kind,
        index=stage.index,
        carried=_relative([output.hidden for output in carried], expected),
        own=_relative(own, expected, inputs),
        worst=_worst_tokens(own, expected, inputs),
        with_media=_relative(*_where(with_media, own, expected, inputs)) if is_split else None,
        without_media=_relative(*_where([not has for has in with_media], own, expected, inputs)) if is_split else None,
        experts_changed=_changed(_experts_of(carried), experts) if experts else None,
        router_changed=_router_changed(candidate, stage, teacher, experts) if experts else None,
        expert_errors=_expert_errors(candidate, stage, teacher) if experts else None,
    )


def _read_record(path: Path) -> StageError:
    record = json.loads(path.read_text(encoding="utf-8"))
    experts = record.pop("expert_errors")
    return StageError(**record, expert_errors=None if experts is None else tuple(experts))


def _relative(found: Sequence[Array], expected: Sequence[Array], inputs: Sequence[Array] | None = None) -> float:
    """Return ||found - expected|| over what `expected` adds to `inputs`, over all tokens."""
    starts = inputs if inputs is not None else [np.zeros((), np.float32)] * len(expected)
    error = sum(float(np.square(a - b, dtype=np.float64).sum()) for a, b in zip(found, expected, strict=True))
    size = sum(float(np.square(b - c, dtype=np.float64).sum()) for b, c in zip(expected, starts, strict=True))
    return float(np.sqrt(error / size)) if size else 0.0


def _worst_tokens(found: Sequence[Array], expected: Sequence[Array], inputs: Sequence[Array] | None) -> float:
    """Return the 99th percentile over tokens of the same ratio."""
    starts = inputs if inputs is not None else [np.zeros((), np.float32)] * len(expected)
    ratios = [
        np.linalg.norm(a - b, axis=-1) / np.maximum(np.linalg.norm(b - c, axis=-1), 1e-12)
        for a, b, c in zip(found, expected, starts, strict=True)
    ]
    return float(np.percentile(np.concatenate(ratios), 99))


def _where(
    chosen: Sequence[bool], found: Sequence[Array], expected: Sequence[Array], inputs: Sequence[Array] | None
) -> tuple[list[Array], list[Array], list[Array] | None]:
    def pick(arrays: Sequence[Array]) -> list[Array]:
        return [array for array, is_chosen in zip(arrays, chosen, strict=True) if is_chosen]

    return pick(found), pick(expected), None if inputs is None else pick(inputs)


def _experts_of(outputs: Sequence[LayerOutput]) -> list[Experts]:
    return [output.experts for output in outputs if output.experts is not None]


def _changed(found: Sequence[Experts], expected: Sequence[Experts]) -> float:
    """Return the share of tokens whose expert set differs."""
    rows = [(a != b).any(axis=1) for a, b in zip(found, expected, strict=True)]
    return float(np.concatenate(rows).mean())


def _router_changed(candidate: Candidate, stage: Stage, teacher: StateStore, experts: Sequence[Experts]) -> float:
    seen = teacher.router_inputs(stage.name)
    return _changed([candidate.blocks.choose_experts(stage.index, rows) for rows in seen], experts)


def _expert_errors(candidate: Candidate, stage: Stage, teacher: StateStore) -> tuple[float, ...]:
    probes = teacher.arrays(probe_name(stage))
    expected, found = probes["outputs"], candidate.blocks.probe_experts(stage.index, probes["rows"])
    errors = np.linalg.norm(found - expected, axis=(1, 2)) / np.maximum(np.linalg.norm(expected, axis=(1, 2)), 1e-12)
    return tuple(errors.astype(float).tolist())


def _save_scores(
    store: StateStore,
    candidate: Candidate,
    samples: SampleSet,
    logits: Sequence[TeacherLogits],
    *,
    own: Sequence[Array],
    fed: Sequence[Array],
) -> None:
    arrays: dict[str, np.ndarray] = {}
    for prefix, states in (("", own), ("fed.", fed)):
        for index, (hidden, sample, record) in enumerate(zip(states, samples.samples, logits, strict=True)):
            score = score_sample(candidate.blocks, hidden, sample, record)
            arrays |= {f"{prefix}{index}.{name}": np.ascontiguousarray(getattr(score, name)) for name in _RECORDS}
    candidate.blocks.release()
    store.save_arrays(SCORES, arrays)


def _load_scores(store: StateStore, num_samples: int, prefix: str = "") -> list[TokenScores]:
    arrays = store.arrays(SCORES)
    return [TokenScores(*(arrays[f"{prefix}{index}.{name}"] for name in _RECORDS)) for index in range(num_samples)]
