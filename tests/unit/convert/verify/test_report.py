"""Tables, pictures and the front of several candidates."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convert.verify.plot import front, plot_candidate, plot_front
from convert.verify.report import _table, card_section, comparison_table, text_report, to_json
from convert.verify.results import CandidateResult, Finding, KindScore, PositionScore, Report, StageError

SCORE = KindScore("all", 2, 30, 0.0123, 0.2, 0.95, 0.9, 5.0, 5.5, 2, 2, 1)
STAGES = (
    StageError("vision block 0", "vision block", 0, 0.0, 0.0, 0.0),
    StageError("layer 0", "layer", 0, 0.1, 0.2, 0.3, 0.2, 0.2, 0.05, 0.01, (0.1, 0.1)),
)
RESULT = CandidateResult(
    "q4", 4_000_000, 4.5, STAGES, (SCORE, replace(SCORE, kind="text")), (PositionScore(0, 15, 30, 0.0123),), 1e-3, ()
)
REPORT = Report("source", "float32", "builtin", "d1", 2, 40, 1024, 151936, 0.998, {"torch": "2"}, (RESULT,))


def candidate(name: str, num_bytes: int, kl: float) -> CandidateResult:
    return replace(RESULT, name=name, num_bytes=num_bytes, kinds=(replace(SCORE, mean_kl=kl),))


def test_columns_line_up() -> None:
    for block in text_report(REPORT).split("\n\n"):
        widths = {len(line) for line in block.splitlines() if line.startswith("|")}
        assert len(widths) <= 1


def test_the_comparison_has_one_row_per_candidate_by_size_and_the_original() -> None:
    report = replace(REPORT, candidates=(candidate("big", 8, 0.1), candidate("small", 4, 0.5)))
    names = [line.split("|")[1].strip() for line in comparison_table(report)[2:]]
    assert names == ["small", "big", "the original"]


def test_a_bound_on_kl_is_called_one() -> None:
    assert "lower bound" in text_report(REPORT)
    assert "lower bound" not in text_report(replace(REPORT, kept_tokens=1024, vocab_size=1024))


def test_findings_and_their_absence_are_stated() -> None:
    assert "nothing looks like a fault" in text_report(REPORT)
    faulty = replace(RESULT, findings=(Finding("layer 0", "errs."),))
    assert "* layer 0: errs." in text_report(replace(REPORT, candidates=(faulty,)))


def test_the_card_shows_the_plot() -> None:
    assert "(q4-verify.png)" in card_section(REPORT, RESULT, plot="q4-verify.png")


def test_json_holds_everything() -> None:
    found = json.loads(json.dumps(to_json(REPORT)))
    assert found["candidates"][0]["stages"][1]["expert_errors"] == [0.1, 0.1]
    assert found["candidates"][0]["kinds"][0]["mean_kl"] == 0.0123


def test_the_front_holds_what_no_smaller_one_beats() -> None:
    results = [candidate("a", 4, 0.5), candidate("b", 5, 0.6), candidate("c", 6, 0.1), candidate("d", 6, 0.2)]
    assert [result.name for result in front(results)] == ["a", "c"]


BROKEN = replace(STAGES[1], carried=float("nan"), own=float("inf"))


@pytest.mark.parametrize(
    "stages", [STAGES, STAGES[:1], STAGES * 40, (*STAGES, BROKEN)], ids=["two", "one", "many", "no numbers"]
)
def test_plots_are_drawn_for_any_number_of_blocks(stages: tuple[StageError, ...], tmp_path: Path) -> None:
    plot_candidate(replace(RESULT, stages=stages), tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as picture:
        pixels = np.array(picture)
    assert pixels.shape == (760, 900, 3)
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 10


def test_the_front_is_drawn_for_equal_sizes_too(tmp_path: Path) -> None:
    plot_front(replace(REPORT, candidates=(RESULT, replace(RESULT, name="other"))), tmp_path / "front.png")
    with Image.open(tmp_path / "front.png") as picture:
        assert picture.size == (900, 440)


def test_every_table_has_marks_that_markdown_takes() -> None:
    lines = _table(["a", "±", ""], [["x", "", ""]])
    assert lines == ["| a  |  ± |    |", "| -- | -: | -: |", "| x  |    |    |"]
