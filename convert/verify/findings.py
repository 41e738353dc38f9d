"""Tell faults from rounding: name the block where an error begins that quantization does not explain.

Each block was fed the reference's own input, so an error belongs to the block it is seen in, whatever went wrong
before. A block is suspect when it errs several times as much as its like, or more than any usable quantization.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from statistics import median

from convert.verify.results import Finding, StageError

TIMES_USUAL = 3.0
TIMES_USUAL_WORST = 6.0  # of the 99th percentile of tokens, which varies more
# The last merger norms before it joins patches and sees states that grew through the whole tower: with the demo's tower
# at 8 bits it errs 0.009 to 0.012, the DeepStack levels 0.0027 to 0.0043, and nothing is wrong.
TIMES_USUAL_MERGER = 2.0  # beside the two above
SMALLEST_ERROR = 1e-3  # below this, differences between blocks are rounding
BROKEN = 0.4  # affine 2-bit weights err by about 0.35, 3-bit by 0.17, 4-bit by 0.09
ROUTER_SHARE = 0.2  # an 8-bit router changes a few per cent of the expert sets
HEAD_KL = 0.3
_LAST_MERGER = "vision merger"
_MERGERS = ("DeepStack level", _LAST_MERGER)


def find_faults(stages: Sequence[StageError], *, head_kl: float) -> tuple[Finding, ...]:
    """Return suspected faults in the order of the blocks, one for each block.

    Args:
        stages: Errors of all blocks.
        head_kl: KL of the vocabulary projection alone.
    """
    finite = [stage for stage in stages if isfinite(stage.own)]
    groups = [
        [stage for stage in finite if stage.kind == "vision block"],
        [stage for stage in finite if stage.kind in _MERGERS],
        [stage for stage in finite if stage.kind == "layer"],
    ]
    found: dict[str, str] = {
        stage.label: "gives values that are infinite or no number. Its weights are damaged, or overflow."
        for stage in stages
        if not isfinite(stage.own)
    }
    for group in groups:
        _find_outliers(group, found)
    _find_media_faults(groups[2], found)
    _find_routers(groups[2], found)
    _find_experts(groups[2], found)
    for stage in stages:
        if stage.own > BROKEN and stage.label not in found:
            found[stage.label] = (
                f"errs by {stage.own:.2f} {_of_what(stage)}; quantization to 4 bits errs by about 0.1. "
                "Its weights or their order are wrong, or it has too few bits."
            )
    findings = [Finding(stage.label, found[stage.label]) for stage in stages if stage.label in found]
    if not head_kl <= HEAD_KL:  # so that a KL that is no number is told, too
        findings.append(Finding("vocabulary projection", f"alone it costs {head_kl:.2f} nats per token."))
    return tuple(findings)


def _find_outliers(group: Sequence[StageError], found: dict[str, str]) -> None:
    if len(group) < 3:  # with two there is no telling which is usual
        return
    views: tuple[tuple[str, float, Callable[[StageError], float]], ...] = (
        ("errs", TIMES_USUAL, lambda stage: stage.own),
        ("in its worst tokens errs", TIMES_USUAL_WORST, lambda stage: stage.worst),
    )
    for verb, limit, error_of in views:
        usual = median(error_of(stage) for stage in group)
        for stage in group:
            error = error_of(stage)
            times = limit * (TIMES_USUAL_MERGER if stage.kind == _LAST_MERGER else 1.0)
            if error > max(times * usual, SMALLEST_ERROR):
                like = f"{error / usual:.0f} times as much as its like" if error < 1000 * usual else "its like do not"
                found.setdefault(stage.label, f"{verb} by {error:.2g} {_of_what(stage)}, {like}.")


def _find_media_faults(layers: Sequence[StageError], found: dict[str, str]) -> None:
    """Find layers that are right on text and wrong on pictures: rotary positions, or DeepStack."""
    suspects = [
        stage
        for stage in layers
        if stage.with_media is not None
        and stage.without_media is not None
        and stage.with_media > max(TIMES_USUAL * stage.without_media, SMALLEST_ERROR)
    ]
    if not suspects:
        return
    is_everywhere = len(suspects) > len(layers) // 2
    reason = (
        f"the same in {len(suspects)} of {len(layers)} layers: look at the order of the rotary axes"
        if is_everywhere
        else "in few layers: look at the DeepStack features added behind it"
    )
    for stage in suspects[:1] if is_everywhere else suspects:
        found[stage.label] = (
            f"errs by {stage.with_media:.2g} on prompts with pictures and {stage.without_media:.2g} on text, {reason}."
        )


def _find_routers(layers: Sequence[StageError], found: dict[str, str]) -> None:
    suspects = [stage for stage in layers if stage.router_changed is not None and stage.router_changed > ROUTER_SHARE]
    for stage in suspects[:1]:
        found[stage.label] = (
            f"the router alone changes the experts of {stage.router_changed:.0%} of the tokens (so in {len(suspects)} "
            f"of {len(layers)} layers); keep routers at 8 bits or more."
        )


def _find_experts(layers: Sequence[StageError], found: dict[str, str]) -> None:
    """Find experts that err more than the others of their layer: two that changed places, for one."""
    for stage in layers:
        errors = stage.expert_errors or ()
        if len(errors) < 3:
            continue
        usual = sorted(errors)[(len(errors) - 1) // 4]  # not the middle: of four experts two may be wrong
        wrong = [expert for expert, error in enumerate(errors) if error > max(TIMES_USUAL * usual, BROKEN)]
        if wrong:
            names = ", ".join(map(str, wrong[:8])) + (", ..." if len(wrong) > 8 else "")
            found[stage.label] = (
                f"experts {names} err by up to {max(errors):.2g} of their output, the others by {usual:.2g}: "
                "their weights are those of other experts, or damaged."
            )


def _of_what(stage: StageError) -> str:
    return "of what it adds" if stage.kind in ("vision block", "layer") else "of its output"
