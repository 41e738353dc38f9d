"""`python -m convert verify`: hold conversions against the original, and write what was lost into their cards."""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from convert.verify.samples import BUILTIN
from edge.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from convert.calibration.file import Calibration
    from convert.verify.measure import Measurement
    from convert.verify.results import Report

DTYPES = ("float32", "bfloat16")
EXAMPLES = """\
examples:
  python -m convert verify --reference Qwen/Qwen3-VL-30B-A3B-Instruct --candidate ./30b-4bit
  python -m convert verify --reference ./source --candidate a b c --front --calibration source.calib --report shown
      size against KL of all three, and what a budget of each size is expected to reach (shown/front.svg)
  python -m convert verify --reference ./source --candidate a b c --prompts mine.jsonl --max-kl 0.05

A prompt file has one JSON object per line: {"messages": [...]} and, if wanted, "kind", "name", "tools" and "unlike":
true, which sums a prompt up apart, as one that is unlike what the candidates were calibrated with.
KLD is in nats per token, of the candidate from the original; "± " is a standard error that counts prompts, not tokens.
exit status: 0 all candidates stay within --max-kl and --min-top1, 1 one does not (or a failure), 2 wrong usage, 130
interrupted."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.epilog = EXAMPLES
    parser.add_argument("--reference", required=True, metavar="SOURCE", help="original folder or hub id")
    parser.add_argument(
        "--candidate", required=True, nargs="+", metavar="OUT", help="converted folders, GGUF files, or hub ids"
    )
    parser.add_argument("--prompts", default=BUILTIN, metavar="FILE", help="JSONL of messages (default: builtin)")
    parser.add_argument(
        "--dtype",
        metavar="|".join(DTYPES),
        choices=DTYPES,
        default="float32",
        help="compute type of the reference (default: float32)",
    )
    parser.add_argument("--max-kl", type=_limit, metavar="X", help="fail when a Mean KLD is above X nats per token")
    parser.add_argument("--min-top1", type=_limit, metavar="Y", help="fail when a Same top p is below Y (0 to 1)")
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="where states are kept, to resume and to share")
    parser.add_argument("--adapter", metavar="FOLDER", help="LoRA adapter that the candidates were made with")
    parser.add_argument("--report", type=Path, metavar="FOLDER", help="where report.md, .json and the plots go")
    parser.add_argument(
        "--front",
        action="store_true",
        help="draw and list size against Mean KLD, with what budgets of bytes would reach",
    )
    parser.add_argument(
        "--calibration", type=Path, metavar="FOLDER", help="with --front: weighs matrices for the budget's curve"
    )
    parser.add_argument("--no-card", action="store_true", help="leave the candidates' model cards alone")


def run(arguments: argparse.Namespace) -> int:
    """Compare; return the exit code.

    Raises:
        EdgeError: Something a user can put right.
    """
    if arguments.min_top1 is not None and arguments.min_top1 > 1:
        raise UsageError(f"--min-top1 is a share from 0 to 1, found {arguments.min_top1:g}.")
    if arguments.calibration is not None and not arguments.front:
        raise UsageError("--calibration weighs matrices for the curve of --front: add --front, or leave it out.")
    require_reference_extra()
    from convert.calibration.given import given_calibration
    from convert.disk import explain_disk_errors
    from convert.source import Identity
    from convert.verify.measure import Measurement  # late: it imports torch, which may be missing

    measurement = Measurement.prepare(
        arguments.reference,
        candidates=arguments.candidate,
        prompts=arguments.prompts,
        dtype=arguments.dtype,
        work=arguments.work,
        adapter=arguments.adapter,
    )
    identity = Identity(arguments.reference, None, {})
    weights = given_calibration(arguments.calibration, measurement.checkpoint, identity)  # now: an error must not wait
    folder = arguments.report or measurement.work_folder
    with explain_disk_errors(folder):  # now: a report that cannot be written must not wait either
        folder.mkdir(parents=True, exist_ok=True)
    report = measurement.run(say=_say)
    _publish(arguments, report, measurement, weights)
    return _judge(report, max_kl=arguments.max_kl, min_top1=arguments.min_top1)


def require_reference_extra() -> None:
    """Check that torch and transformers are installed.

    Raises:
        ConfigError: They are not.
    """
    try:
        import torch
        import transformers
    except ImportError as error:
        raise ConfigError(
            f"verify runs the original with torch and transformers; {error.name} is not installed. "
            "Install the extra: pip install 'qwen3vl-edge[reference]'."
        ) from None
    assert torch is not None, "imported to see that it is there"
    assert transformers is not None, "as above"


def _publish(
    arguments: argparse.Namespace, report: Report, measurement: Measurement, weights: Calibration | None
) -> None:
    """Print the report; write cards, JSON and pictures."""
    from convert.disk import write_text
    from convert.verify.badge import write_badge
    from convert.verify.card import write_section
    from convert.verify.plot import plot_candidate, plot_front
    from convert.verify.report import card_section, text_report, to_json
    from convert.verify.store import write_json

    text = text_report(report)
    print(text)
    folder = arguments.report or measurement.work_folder
    write_text(folder / "report.md", text + "\n")
    write_json(folder / "report.json", to_json(report))
    if arguments.front:
        _show_front(report, measurement, folder, weights)
    if len(report.candidates) > 1:
        plot_front(report, folder / "front.png")
    for candidate, result in zip(measurement.candidates, report.candidates, strict=True):
        if arguments.no_card or not measurement.may_have_card(candidate):
            plot_candidate(result, folder / f"{result.name}.png")
            continue
        beside = candidate.card.parent
        picture = beside / f"{result.name}-verify.png"
        plot_candidate(result, picture)
        write_json(beside / f"{result.name}-verify.json", to_json(replace(report, candidates=(result,))))
        badge = beside / f"{result.name}-kld.svg"
        write_badge(result, badge)
        section = card_section(report, result, plot=picture.name, badge=badge.name)
        write_section(candidate.card, result.name, section)
        _say(f"{candidate.card}: report written")
    _say(f"report and plots: {folder}")


def _show_front(report: Report, measurement: Measurement, folder: Path, weights: Calibration | None) -> None:
    """Print the table of sizes and KL, and write its picture."""
    from convert.budget.spend import open_market
    from convert.disk import write_text
    from convert.verify.front import budget_curve, front_svg, front_table

    market = open_market(measurement.checkpoint.config, checkpoint=measurement.checkpoint, weights=weights)
    curve = budget_curve(market, report.candidates, measurement.affine_formats())
    table = "\n".join(front_table(report, curve))
    print(f"\n{table}")
    write_text(folder / "front.md", f"{table}\n")
    write_text(folder / "front.svg", front_svg(report, curve))


def _judge(report: Report, *, max_kl: float | None, min_top1: float | None) -> int:
    """Return 1 and say why when a candidate is outside the limits."""
    failures = []
    for result in report.candidates:
        overall = result.overall
        # "not <=" and "not >=": a KL that is no number fails too
        if max_kl is not None and not overall.mean_kl <= max_kl:
            failures.append(f"{result.name}: Mean KLD {overall.mean_kl:.6g} is above --max-kl {max_kl:g}")
        if min_top1 is not None and not overall.top1 >= min_top1:
            failures.append(f"{result.name}: Same top p {overall.top1:.6g} is below --min-top1 {min_top1:g}")
    for failure in failures:
        _say(failure)
    return 1 if failures else 0


def _limit(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number from 0 up, found {text!r}")
    return value


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
