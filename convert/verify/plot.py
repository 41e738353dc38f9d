"""Draw the report's pictures: error by block, KL by kind of prompt, and the front of size against KL.

Drawn with Pillow, which the runtime needs anyway; matplotlib would bring 30 MB for three simple charts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from convert.disk import explain_disk_errors
from convert.verify.results import CandidateResult, Report

_WIDTH, _HEIGHT = 900, 380
_INK, _FAINT = (30, 32, 40), (222, 224, 230)
_COLOURS = ((46, 92, 180), (201, 52, 48), (62, 140, 78), (180, 120, 30), (120, 70, 160), (60, 150, 160))
_SMALLEST, _LARGEST = 1e-8, 1e4
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Frame:
    """A chart's rectangle in pixels and the range of its logarithmic axis."""

    left: int
    top: int
    right: int
    bottom: int
    low: float
    high: float

    def y(self, value: float) -> float:
        share = (_log(value) - self.low) / (self.high - self.low)
        return self.bottom - share * (self.bottom - self.top)


def plot_candidate(result: CandidateResult, path: Path) -> None:
    """Draw the error by block above and KL by kind of prompt below."""
    picture = Image.new("RGB", (_WIDTH, 2 * _HEIGHT), "white")
    pen = ImageDraw.Draw(picture)
    pen.text((20, 10), f"{result.name}: relative error by block", fill=_INK, font=_font(18))
    values = [value for stage in result.stages for value in (stage.carried, stage.own)]
    frame = _frame(pen, values, top=70, bottom=_HEIGHT - 60)
    step = (frame.right - frame.left) / max(1, len(result.stages) - 1)
    for number, (label, errors) in enumerate(
        {
            "carried so far": [stage.carried for stage in result.stages],
            "of the block alone": [stage.own for stage in result.stages],
        }.items()
    ):
        _line(pen, [(frame.left + i * step, frame.y(error)) for i, error in enumerate(errors)], _COLOURS[number])
        pen.text((120 + 200 * number, 42), label, fill=_COLOURS[number], font=_font(14))
    every = max(1, len(result.stages) // 12)
    for index in range(0, len(result.stages), every):
        label = _short(result.stages[index].label)
        pen.text((frame.left + index * step - 12, frame.bottom + 8), label, fill=_INK, font=_font(12))
    _draw_kinds(pen, result)
    with explain_disk_errors(path):
        picture.save(path)


def plot_front(report: Report, path: Path) -> None:
    """Draw size against KL; the line joins candidates that no smaller one beats."""
    picture = Image.new("RGB", (_WIDTH, _HEIGHT + 60), "white")
    pen = ImageDraw.Draw(picture)
    pen.text((20, 10), "size (bits per weight) against KL; the line is the front", fill=_INK, font=_font(18))
    results = sorted(report.candidates, key=lambda result: result.num_bytes)
    frame = _frame(pen, [result.overall.mean_kl for result in results], top=50, bottom=_HEIGHT)
    sizes = [result.bits_per_weight for result in results]
    low, high = min(sizes), max(sizes)

    def place(result: CandidateResult) -> Point:
        share = (result.bits_per_weight - low) / (high - low) if high > low else 0.5
        return frame.left + 20 + share * (frame.right - frame.left - 160), frame.y(result.overall.mean_kl)

    _line(pen, [place(result) for result in front(results)], (150, 154, 160))
    for number, result in enumerate(results):
        x, y = place(result)
        colour = _COLOURS[number % len(_COLOURS)]
        pen.ellipse((x - 5, y - 5, x + 5, y + 5), fill=colour)
        above = -18 if number % 2 else 2  # neighbours' names side by side would overlap
        pen.text((x + 8, y + above), f"{result.name} {result.bits_per_weight:.2f}", fill=colour, font=_font(12))
    with explain_disk_errors(path):
        picture.save(path)


def front(results: Sequence[CandidateResult]) -> list[CandidateResult]:
    """Return the candidates, by size, whose KL is below that of every smaller one."""
    found: list[CandidateResult] = []
    for result in sorted(results, key=lambda result: (result.num_bytes, result.overall.mean_kl)):
        if not found or result.overall.mean_kl < found[-1].overall.mean_kl:
            found.append(result)
    return found


def _draw_kinds(pen: ImageDraw.ImageDraw, result: CandidateResult) -> None:
    pen.text((20, _HEIGHT + 10), "Mean KLD by kind of prompt (line: 99th percentile)", fill=_INK, font=_font(18))
    values = [value for score in result.kinds for value in (score.mean_kl, score.p99_kl)]
    frame = _frame(pen, values, top=_HEIGHT + 50, bottom=2 * _HEIGHT - 50)
    step = (frame.right - frame.left) / len(result.kinds)
    for index, score in enumerate(result.kinds):
        left = frame.left + index * step + step * 0.2
        right = left + step * 0.6
        pen.rectangle((left, frame.y(score.mean_kl), right, frame.bottom), fill=_COLOURS[0])
        pen.line((left, frame.y(score.p99_kl), right, frame.y(score.p99_kl)), fill=_COLOURS[1], width=3)
        pen.text((left, frame.bottom + 8), score.kind, fill=_INK, font=_font(14))


def _frame(pen: ImageDraw.ImageDraw, values: Sequence[float], *, top: int, bottom: int) -> _Frame:
    """Draw the axis with a line for each power of ten around the values."""
    logs = [_log(value) for value in values]
    low, high = math.floor(min(logs)), math.ceil(max(logs))
    frame = _Frame(90, top, _WIDTH - 30, bottom, low, high if high > low else low + 1)
    for power in range(low, int(frame.high) + 1):
        y = frame.y(10.0**power)
        pen.line((frame.left, y, frame.right, y), fill=_FAINT)
        pen.text((20, y - 8), f"1e{power}", fill=_INK, font=_font(12))
    return frame


def _log(value: float) -> float:
    """Return the logarithm within what a picture can show; what is no number counts as the largest."""
    return math.log10(max(min(_LARGEST, value), _SMALLEST))  # min gives its first argument where the other is NaN


def _line(pen: ImageDraw.ImageDraw, points: Sequence[Point], colour: tuple[int, int, int]) -> None:
    if len(points) > 1:
        pen.line(list(points), fill=colour, width=3)
    for x, y in points:
        pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill=colour)


def _short(label: str) -> str:
    shorter = {
        "vision block ": "V",
        "layer ": "L",
        "DeepStack level ": "D",
        "vision start": "start",
        "vision merger": "merger",
        "embedding": "emb",
    }
    for long, short in shorter.items():
        label = label.replace(long, short)
    return label


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
