"""What was measured: figures with their settings, and the report they make."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import field

from edge.bench.machine import Machine
from edge.records import dataclass

Setting = str | int | float


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that was measured.

    Attributes:
        what: Its name.
        value: The median where there were several runs.
        unit: Of the value; "x" is a ratio.
        settings: What it was measured at, such as tokens or rows.
        runs: The single runs.
    """

    what: str
    value: float
    unit: str
    settings: Mapping[str, Setting] = field(default_factory=dict)
    runs: tuple[float, ...] = ()

    @property
    def spread(self) -> str:
        """Least and most of the runs; empty for a single one."""
        return f"{shown(min(self.runs))} to {shown(max(self.runs))}" if len(self.runs) > 1 else ""


def figure_of(what: str, runs: Sequence[float], unit: str, **settings: Setting) -> Figure:
    """Make a figure of some runs."""
    return Figure(what, statistics.median(runs), unit, settings, tuple(runs))


@dataclass(slots=True)
class Report:
    """All figures of one run of the program.

    Attributes:
        model: What was measured.
        machine: On what.
        versions: Of this package and what computes.
        command: How to measure it again.
        date: When.
        figures: In the order of measuring.
        notes: What the reader has to know.
        is_complete: Whether nothing is missing.
    """

    model: str
    machine: Machine
    versions: str
    command: str
    date: str
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    is_complete: bool = False


def to_json(report: Report) -> str:
    """Write a report as JSON."""
    figures = [
        {"what": f.what, "value": f.value, "unit": f.unit, **f.settings, "runs": list(f.runs)} for f in report.figures
    ]
    fields = {
        "model": report.model,
        "machine": report.machine.as_dict(),
        "versions": report.versions,
        "command": report.command,
        "date": report.date,
        "complete": report.is_complete,
        "notes": report.notes,
        "figures": figures,
    }
    return json.dumps(fields, indent=2)


def line(figure: Figure) -> str:
    """Write one figure for the terminal."""
    spread = f"  ({figure.spread})" if figure.spread else ""
    return f"{figure.what:24} {_at(figure):34} {shown(figure.value):>9} {figure.unit}{spread}"


def card(report: Report) -> str:
    """Write a report as Markdown, to be posted: everything that is needed to measure it again stands in it."""
    rows = [f"| {f.what} | {_at(f)} | {shown(f.value)} {f.unit} | {f.spread} |" for f in report.figures]
    missing = [] if report.is_complete else ["", "The run was interrupted: figures are missing."]
    return "\n".join(
        [
            f"## {report.model}",
            "",
            f"{report.machine.line()}. {report.versions}. {report.date}.",
            "",
            f"    {report.command}",
            "",
            "| what | at | figure | runs |",
            "|---|---|---:|---|",
            *rows,
            *(f"\n{note}" for note in report.notes),
            *missing,
            "",
        ]
    )


def _at(figure: Figure) -> str:
    return ", ".join(f"{name} {value}" for name, value in figure.settings.items())


def shown(value: float) -> str:
    """Write a number with three digits that count, large ones whole."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
