"""Draw the speeds of a report as an SVG picture: bars behind prompts of some lengths, and by rows."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from edge.bench.figures import Figure, Report, shown

SHOWN = ("prefill", "decode", "decode, all rows", "picture first token", "first token, cold", "first token, warm")
_WIDTH, _BAR, _GAP, _LABEL, _NUMBER = 720, 18, 8, 250, 130
_COLOURS = {"tokens/s": "#3b6fb6", "s": "#b6653b"}


def to_svg(report: Report) -> str:
    """Draw a report; each family of figures has its own scale."""
    families = [(what, [figure for figure in report.figures if figure.what == what]) for what in SHOWN]
    parts: list[str] = []
    top = 48
    for what, figures in families:
        if not figures:
            continue
        drawn, height = _family(what, figures, top)
        parts += drawn
        top += height
    title = f"{report.model}: {report.machine.line()}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{top + 12}" '
            f'viewBox="0 0 {_WIDTH} {top + 12}" font-family="sans-serif" font-size="13">',
            f'<rect width="{_WIDTH}" height="{top + 12}" fill="white"/>',
            f'<text x="12" y="26" font-size="14" font-weight="bold">{escape(title)}</text>',
            *parts,
            "</svg>",
            "",
        ]
    )


def _family(what: str, figures: Sequence[Figure], top: int) -> tuple[list[str], int]:
    """Draw bars of one scale; returns them and their height."""
    most = max(figure.value for figure in figures) or 1.0
    parts = [f'<text x="12" y="{top + 14}" fill="#444">{escape(what)}, {escape(figures[0].unit)}</text>']
    y = top + 24
    for figure in figures:
        label = ", ".join(f"{name} {value}" for name, value in figure.settings.items()) or what
        width = (_WIDTH - _LABEL - _NUMBER) * figure.value / most
        colour = _COLOURS.get(figure.unit, "#666")
        middle = y + _BAR - 5
        parts += [
            f'<text x="{_LABEL - 8}" y="{middle}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{_LABEL}" y="{y}" width="{width:.1f}" height="{_BAR}" fill="{colour}"/>',
            f'<text x="{_LABEL + width + 6:.1f}" y="{middle}">{shown(figure.value)}</text>',
        ]
        y += _BAR + _GAP
    return parts, y - top + 10
