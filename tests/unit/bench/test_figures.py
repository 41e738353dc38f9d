"""Figures and reports: one line each, JSON, a card, a picture."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree

import pytest

from edge.bench.figures import Figure, Report, card, figure_of, line, shown, to_json
from edge.bench.machine import Machine
from edge.bench.plot import to_svg

FIGURES = [
    figure_of("prefill", [90.0, 100.0, 130.0], "tokens/s", tokens=512),
    figure_of("decode", [10.0], "tokens/s", tokens=512),
    figure_of("decode, all rows", [25.0], "tokens/s", rows=4),
]


def report(*, is_complete: bool = True) -> Report:
    made = Report("a <model>", Machine("chip", "system", 8_000_000_000), "edge 1", "python -m edge.bench", "2026-11-26")
    made.figures += FIGURES
    made.notes.append("A note.")
    made.is_complete = is_complete
    return made


def test_the_median_stands_for_the_runs_and_their_spread_beside_it() -> None:
    assert (FIGURES[0].value, FIGURES[0].spread, FIGURES[1].spread) == (100.0, "90 to 130", "")
    assert line(FIGURES[0]).split() == ["prefill", "tokens", "512", "100", "tokens/s", "(90", "to", "130)"]


@pytest.mark.parametrize(("value", "text"), [(0.01234, "0.0123"), (12.345, "12.3"), (1234.5, "1,234"), (0.0, "0")])
def test_numbers_have_three_digits_that_count(value: float, text: str) -> None:
    assert shown(value) == text


def test_json_holds_all_figures_with_their_settings_and_whether_any_are_missing() -> None:
    found = json.loads(to_json(report(is_complete=False)))
    assert found["complete"] is False
    assert found["figures"][0] == {
        "what": "prefill",
        "value": 100.0,
        "unit": "tokens/s",
        "tokens": 512,
        "runs": [90.0, 100.0, 130.0],
    }
    assert found["machine"]["memory_bytes"] == 8_000_000_000


def test_a_card_says_what_is_needed_to_measure_again() -> None:
    whole, part = card(report()), card(report(is_complete=False))
    assert "    python -m edge.bench" in whole
    assert "| prefill | tokens 512 | 100 tokens/s | 90 to 130 |" in whole
    assert "A note." in whole
    assert "interrupted" in part
    assert "interrupted" not in whole


def test_the_picture_has_a_bar_for_each_speed_and_is_well_formed() -> None:
    root = ElementTree.fromstring(to_svg(report()))
    bars = [float(element.attrib["width"]) for element in root.iter("{http://www.w3.org/2000/svg}rect")]
    assert len(bars) == 1 + len(FIGURES)
    assert all(bar > 0 for bar in bars)
    empty = report()
    empty.figures[:] = [Figure("prefill", 0.0, "tokens/s")]
    ElementTree.fromstring(to_svg(empty))
