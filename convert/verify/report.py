"""Write a report: lines for the terminal, a Markdown section for the model card, JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from convert.disk import describe_bytes
from convert.verify.kld import SplitScore
from convert.verify.results import CandidateResult, Report

Cells = Sequence[Sequence[str]]
CARD_HEADER = "## Compared with the original"


def to_json(report: Report) -> dict[str, Any]:  # Any: JSON
    """Return everything, for the JSON files."""
    return asdict(report)


def text_report(report: Report) -> str:
    """Return the whole report for a terminal: it is the card's Markdown, set in columns."""
    parts = [_intro(report), ""]
    if len(report.candidates) > 1:
        parts += [*comparison_table(report), ""]
    for result in report.candidates:
        parts += [f"# {result.name}", "", *_sections(result), ""]
    return "\n".join(parts).rstrip()


def card_section(report: Report, result: CandidateResult, *, plot: str | None, badge: str | None = None) -> str:
    """Return the section of one candidate's model card.

    Args:
        report: The measurement.
        result: The candidate.
        plot: File name of its picture beside the card.
        badge: File name of its badge beside the card.
    """
    picture = ["", f"![Error by block, KL by kind of prompt]({plot})"] if plot else []
    shown = [f"![Mean KLD]({badge})", ""] if badge else []
    return "\n".join([CARD_HEADER, "", *shown, _intro(report), "", *_sections(result), *picture])


def comparison_table(report: Report) -> list[str]:
    """Return one row per candidate, smallest first."""
    rows = [
        [
            result.name,
            describe_bytes(result.num_bytes),
            f"{result.bits_per_weight:.2f}",
            _nats(result.overall.mean_kl),
            _nats(result.overall.p99_kl),
            f"{result.overall.top1:.2%}",
            f"{result.overall.perplexity:.3f}",
            _answers(result.overall.right, result.overall.num_answers),
            result.findings[0].where if result.findings else "-",
        ]
        for result in sorted(report.candidates, key=lambda result: result.num_bytes)
    ]
    overall = report.candidates[0].overall
    rows.append(
        [
            *("the original", "", "", "0", "0", "100.00%", f"{overall.reference_perplexity:.3f}"),
            *(_answers(overall.reference_right, overall.num_answers), "-"),
        ]
    )
    header = ["candidate", "size", "bits", "Mean KLD", "99.0% KLD", "Same top p", "PPL", "answers right", "suspect"]
    return _table(header, rows)


def _intro(report: Report) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    kept = (
        "KL over the whole vocabulary"
        if report.kept_tokens >= report.vocab_size
        else f"KL over the {report.kept_tokens} likeliest tokens and the rest as one "
        f"({report.kept_mass:.2%} of the mass is in them), so it is a lower bound"
    )
    return (
        f"Reference: {report.reference} in {report.dtype}, by transformers' own modules ({versions}). "
        f"{report.num_prompts} prompts ({report.prompts}), {report.num_tokens} tokens; {kept}, in nats per token."
    )


def _sections(result: CandidateResult) -> list[str]:
    lines = [f"Size {describe_bytes(result.num_bytes)}, {result.bits_per_weight:.2f} bits per weight.", ""]
    lines += [
        *_kld_lines(result),
        *_kind_table(result),
        "",
        *_split_table(result),
        *_position_table(result),
        "",
        *_stage_table(result),
    ]
    lines += ["", *_verdict(result), *(line for note in result.notes for line in ("", note))]
    return lines


def _kind_table(result: CandidateResult) -> list[str]:
    rows = [
        [
            score.kind,
            str(score.num_tokens),
            _nats(score.mean_kl),
            _nats(score.p99_kl),
            f"{score.top1:.2%}",
            f"{score.top5:.2%}",
            f"{score.reference_perplexity:.3f}",
            f"{score.perplexity:.3f}",
            f"{_answers(score.reference_right, score.num_answers)} -> {_answers(score.right, score.num_answers)}",
        ]
        for score in result.kinds
    ]
    header = ["prompts", "tokens", "Mean KLD", "99.0% KLD", "Same top p", "top-5", "PPL before", "after"]
    header.append("answers right")
    return _table(header, rows)


def _kld_lines(result: CandidateResult) -> list[str]:
    """State the whole in the words and order of llama.cpp's `--kl-divergence`."""
    kld = result.kld
    if kld is None:
        return []
    return [
        f"Mean KLD: {_nats(kld.mean_kld)}{_error(kld.mean_kld_stderr)}, Median KLD: {_nats(kld.median_kld)}, "
        f"99.0% KLD: {_nats(kld.kld_99)}, 99.9% KLD: {_nats(kld.kld_999)}, Maximum KLD: {_nats(kld.max_kld)}. "
        f"Same top p: {kld.same_top_p:.2%}. Mean Δp: {kld.mean_delta_p:.3%}, RMS Δp: {kld.rms_delta_p:.3%}. "
        f"Mean ln(PPL(Q)/PPL(base)): {kld.mean_ln_ppl_ratio:.5f}{_error(kld.mean_ln_ppl_ratio_stderr)}.",
        "",
    ]


def _split_table(result: CandidateResult) -> list[str]:
    if not result.splits:
        return []
    header = ["tokens of", "prompts", "tokens", "Mean KLD", "±", "Same top p"]
    rows = [
        [
            split_name(score),
            str(score.num_prompts),
            str(score.num_tokens),
            _nats(score.mean_kld),
            "" if score.mean_kld_stderr is None else _nats(score.mean_kld_stderr),
            f"{score.same_top_p:.2%}",
        ]
        for score in result.splits
    ]
    return [*_table(header, rows), ""]


def split_name(score: SplitScore) -> str:
    """Name a part of the tokens for people."""
    start = "unlike prompts" if score.is_unlike else "prompts"
    where = {"all": "", "picture": ", after a picture", "text": ", no picture before"}[score.behind]
    part = {"all": "", "answer": ": answers", "prompt": ": the rest"}[score.part]
    return f"{start}{where}{part}"


def _position_table(result: CandidateResult) -> list[str]:
    header = ["place in the prompt", *(f"{place.first}-{place.last}" for place in result.positions)]
    rows = [["Mean KLD", *(_nats(place.mean_kl) for place in result.positions)]]
    rows.append(["tokens", *(str(place.num_tokens) for place in result.positions)])
    return _table(header, rows)


def _stage_table(result: CandidateResult) -> list[str]:
    header = ["block", "error so far", "of the block alone", "worst tokens", "experts changed", "by the router alone"]
    rows = [
        [
            stage.label,
            f"{stage.carried:.2e}",
            f"{stage.own:.2e}",
            f"{stage.worst:.2e}",
            _share(stage.experts_changed),
            _share(stage.router_changed),
        ]
        for stage in result.stages
    ]
    return _table(header, rows)


def _verdict(result: CandidateResult) -> list[str]:
    if not result.findings:
        return ["No block errs more than its like: nothing looks like a fault."]
    return ["Suspect, the earliest first:", "", *(f"* {found.where}: {found.what}" for found in result.findings)]


def _table(header: Sequence[str], rows: Cells) -> list[str]:
    """Set a Markdown table whose columns line up on a terminal too; the first column is left, numbers are right."""
    # A mark has a dash and a colon at least, or Markdown sees no table.
    widths = [max(2, *(len(row[i]) for row in [header, *rows])) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    marks = ["-" * width if i == 0 else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    return [line(header), line(marks), *map(line, rows)]


def _nats(value: float) -> str:
    return f"{value:.5f}" if value >= 5e-5 else f"{value:.1e}"


def _error(value: float | None) -> str:
    return "" if value is None else f" ± {_nats(value)}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _answers(right: int, total: int) -> str:
    return f"{right}/{total}" if total else "-"
