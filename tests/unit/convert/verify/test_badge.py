"""The badge says the mean KLD and is sound XML."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from convert.verify.badge import write_badge
from tests.unit.convert.verify.test_report import RESULT, SCORE


@pytest.mark.parametrize(("kl", "colour"), [(0.01, "#2e7d32"), (0.04, "#7a8b1f"), (0.5, "#b23a3a")])
def test_the_badge_tells_the_loss_by_number_and_colour(kl: float, colour: str, tmp_path: Path) -> None:
    write_badge(replace(RESULT, kinds=(replace(SCORE, mean_kl=kl),)), tmp_path / "badge.svg")
    text = (tmp_path / "badge.svg").read_text(encoding="utf-8")
    assert ElementTree.fromstring(text).tag.endswith("svg")
    assert f"{kl:.4f} at 4.50 bpw" in text
    assert colour in text
