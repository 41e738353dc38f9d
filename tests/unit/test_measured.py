"""The page of figures and the commands that make them belong together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import measured
from tests.figures import note_figure
from tests.measured import FIGURES, MARK, PAGE, Noted, page_with


def test_every_mark_of_the_page_has_a_command_and_every_figure_a_mark() -> None:
    names = [match["name"] for match in MARK.finditer(PAGE.read_text(encoding="utf-8"))]
    assert sorted(names) == sorted([*FIGURES, "day", "machine"])


def test_a_figure_is_written_between_its_marks_only() -> None:
    page = "a <!-- figure rows -->1.0<!-- end --> b <!-- figure gaps -->2<!-- end --> 1.0"
    assert page_with(page, {"rows": "3 times"}) == page.replace("-->1.0<", "-->3 times<")


def test_figures_are_noted_only_where_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGE_FIGURES", raising=False)
    assert note_figure("rows", 1.5) == 1.5
    monkeypatch.setenv("EDGE_FIGURES", str(tmp_path / "f"))
    note_figure("rows", 2.5)
    (line,) = (tmp_path / "f").read_text().splitlines()
    noted = Noted(**json.loads(line))
    assert (noted.name, noted.value) == ("rows", 2.5)
    assert noted.test.endswith("test_figures_are_noted_only_where_they_are_asked_for")


def test_errors_of_wrong_variants_do_not_count() -> None:
    chosen = FIGURES["gaps"].chosen
    name = "tests/parity/test_rope_positions.py::test_logits"
    assert chosen(Noted("relative error", 4e-7, name))
    assert not chosen(Noted("relative error", 2e-5, name))
    assert not chosen(Noted("relative error", 4e-6, "tests/parity/test_rope_positions.py::test_numpys_power_fails"))
    assert not chosen(Noted("relative error", 4e-7, "tests/parity/test_forward.py::test_logits"))


def test_a_command_that_fails_or_notes_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    notes = [Noted("rows", 1.2, ""), Noted("rows", 1.7, "")]
    monkeypatch.setattr(measured, "run_noting", lambda command: (notes, 0) if "rows" in command else ([], 5))
    shown, failed = measured.measure(["rows", "gaps"])
    assert shown == {"rows": "1.2 to 1.7 times"}
    assert failed == ["gaps (python -m pytest tests/parity/test_rope_positions.py: exit code 5, 0 values)"]
