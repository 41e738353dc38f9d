"""Draw the badge of a candidate: its mean KLD on one line, as an SVG that stands beside its model card."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from convert.disk import write_text
from convert.verify.results import CandidateResult

_LETTER_PX = 7
_COLOURS = ((0.02, "#2e7d32"), (0.05, "#7a8b1f"), (0.15, "#b26a00"))  # nats up to which it has this colour
_WORST = "#b23a3a"


def write_badge(result: CandidateResult, path: Path) -> None:
    """Write the badge.

    Raises:
        OutputError: The disk is full or fails.
    """
    left, right = "Mean KLD", f"{badge_text(result)} at {result.bits_per_weight:.2f} bpw"
    widths = [_LETTER_PX * len(text) + 12 for text in (left, right)]
    colour = next((colour for limit, colour in _COLOURS if result.overall.mean_kl <= limit), _WORST)
    texts = [
        f'<text x="{x}" y="14" font-family="Verdana,sans-serif" font-size="11" fill="#fff" text-anchor="middle">'
        f"{escape(text)}</text>"
        for x, text in ((widths[0] / 2, left), (widths[0] + widths[1] / 2, right))
    ]
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{sum(widths)}" height="20" role="img">',
        f"<title>{escape(f'{left} {right}')}</title>",
        f'<rect width="{widths[0]}" height="20" fill="#555"/>',
        f'<rect x="{widths[0]}" width="{widths[1]}" height="20" fill="{colour}"/>',
        *texts,
        "</svg>",
    ]
    write_text(path, "\n".join(lines) + "\n")


def badge_text(result: CandidateResult) -> str:
    """Return the mean KLD with its standard error, as far as both say something."""
    value = result.overall.mean_kl
    error = None if result.kld is None else result.kld.mean_kld_stderr
    return f"{value:.4f}" if error is None else f"{value:.4f} ± {error:.4f}"
