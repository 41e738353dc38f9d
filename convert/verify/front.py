"""Show size against KL: all candidates, the front of those that no smaller one beats, and what budgets would reach.

In: a report, and the original's weights with a calibration if there is one. Out: a `Curve`, an SVG of it with the
candidates, and a table. The curve is the budget solver's own prediction, which holds for small errors; where MLX
folders are among the candidates it is scaled to what they measured, and the scale is told.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from xml.sax.saxutils import escape

from convert.budget.spend import Market, spend
from convert.disk import MB, describe_bytes
from convert.verify.plot import front
from convert.verify.results import CandidateResult, Report
from edge.memory import GB
from edge.plan.recipes import Format

WIDTH, HEIGHT = 900, 480
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 190, 50, 420
_COLOURS = ("#3360aa", "#c65a3c", "#3c965a", "#9650a0", "#a08728", "#3c96a0")
_INK, _FAINT, _CURVE = "#282c32", "#d8dbe0", "#8a5a00"
_NUM_POINTS = 12
_FEWEST_NATS = 1e-6


@dataclass(frozen=True, slots=True)
class Curve:
    """What budgets are expected to reach: (bytes, nats), by bytes, and a sentence on what they rest on."""

    points: tuple[tuple[int, float], ...]
    note: str

    def at(self, num_bytes: int) -> float | None:
        """Return the nats at a size, between points on a logarithmic line; None beside the curve."""
        for (low, first), (high, second) in zip(self.points, self.points[1:], strict=False):
            if low <= num_bytes <= high:
                share = (num_bytes - low) / (high - low)
                return math.exp((1 - share) * math.log(first) + share * math.log(second))
        return None


def budget_curve(
    market: Market, results: Sequence[CandidateResult], formats: Mapping[str, Mapping[str, Format]]
) -> Curve:
    """Solve for budgets around the candidates' sizes.

    Args:
        market: Of the original.
        results: The candidates.
        formats: Of the candidates that are MLX folders in affine formats: name -> parameter -> format.
    """
    low = max(market.least_bytes * 101 // 100, min(result.num_bytes for result in results) * 97 // 100)
    high = max(low * 103 // 100, max(result.num_bytes for result in results) * 103 // 100)
    ratios = [
        result.overall.mean_kl / market.loss_of(formats[result.name])
        for result in results
        if result.name in formats and market.loss_of(formats[result.name]) > _FEWEST_NATS
    ]
    scale = median(ratios) if ratios else 1.0
    points = []
    for index in range(_NUM_POINTS):
        budget = low + (high - low) * index // (_NUM_POINTS - 1)
        points.append((budget, max(_FEWEST_NATS, scale * spend(market, budget=budget).solution.loss)))
    told = (
        f" Scaled by {scale:.2f}, the median of {len(ratios)} candidates' measured over predicted KL." if ratios else ""
    )
    return Curve(tuple(points), f"{market.basis()}{told}")


def front_table(report: Report, curve: Curve) -> list[str]:
    """Write one row per candidate by size: its KL, whether it is on the front, and the curve at its size."""
    leading = {result.name for result in front(report.candidates)}
    lines = ["| candidate | size | Mean KLD | on the front | a budget of this size |", "|---|---:|---:|---|---:|"]
    for result in sorted(report.candidates, key=lambda result: result.num_bytes):
        expected = curve.at(result.num_bytes)
        lines.append(
            f"| {result.name} | {describe_bytes(result.num_bytes)} | {result.overall.mean_kl:.4f} | "
            f"{'yes' if result.name in leading else 'no'} | {'' if expected is None else f'{expected:.4f}'} |"
        )
    return [*lines, "", curve.note]


def front_svg(report: Report, curve: Curve) -> str:
    """Draw size against KL on a logarithmic axis."""
    results = sorted(report.candidates, key=lambda result: result.num_bytes)
    sizes = [*(result.num_bytes for result in results), *(size for size, _ in curve.points)]
    nats = [*(_shown(result.overall.mean_kl) for result in results), *(value for _, value in curve.points)]
    axes = _Axes(min(sizes), max(sizes), math.floor(math.log10(min(nats))), math.ceil(math.log10(max(nats))))
    leading = [axes.place(result.num_bytes, _shown(result.overall.mean_kl)) for result in front(results)]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        _text(20, 26, "size against Mean KLD (nats per token)", size=16),
        *axes.lines(),
        _line([axes.place(size, value) for size, value in curve.points], _CURVE, dashes="6 4"),
        _line(leading, "#9699a0"),
        _text(_LEFT + 10, _BOTTOM + 50, "dashed: what a budget of this size is expected to lose", colour=_CURVE),
        *(_point(axes, result, _COLOURS[index % len(_COLOURS)], index) for index, result in enumerate(results)),
        "</svg>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


@dataclass(frozen=True, slots=True)
class _Axes:
    """Bytes from left to right, powers of ten of nats from bottom to top."""

    low: int
    high: int
    bottom: int
    top: int

    def place(self, num_bytes: int, nats: float) -> tuple[float, float]:
        across = (num_bytes - self.low) / max(1, self.high - self.low)
        up = (math.log10(nats) - self.bottom) / max(1, self.top - self.bottom)
        return _LEFT + across * (WIDTH - _LEFT - _RIGHT), _BOTTOM - up * (_BOTTOM - _TOP)

    def lines(self) -> list[str]:
        drawn = []
        for power in range(self.bottom, self.top + 1):
            y = self.place(self.low, 10.0**power)[1]
            drawn.append(f'<path d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}" stroke="{_FAINT}"/>')
            drawn.append(_text(20, y + 4, f"{10.0**power:g}"))
        unit, name = (GB, "GB") if self.high >= GB else (MB, "MB")
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            size = self.low + share * (self.high - self.low)
            x = self.place(int(size), 10.0**self.bottom)[0]
            drawn.append(_text(x - 18, _BOTTOM + 22, f"{size / unit:.2f} {name}"))
        return drawn


def _point(axes: _Axes, result: CandidateResult, colour: str, index: int) -> str:
    x, y = axes.place(result.num_bytes, _shown(result.overall.mean_kl))
    below = 14 if index % 2 else -6  # neighbours' names side by side would overlap
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>' + _text(
        x + 8, y + below, f"{result.name} {result.overall.mean_kl:.4f}", colour=colour
    )


def _shown(nats: float) -> float:
    """Bring a KL into what a logarithmic axis can show; what is no number counts as the largest."""
    return max(_FEWEST_NATS, min(1e3, nats))


def _line(points: Sequence[tuple[float, float]], colour: str, *, dashes: str = "") -> str:
    if len(points) < 2:
        return ""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dashed}/>'


def _text(x: float, y: float, text: str, *, colour: str = _INK, size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}">{escape(text)}</text>'
