"""The front's table and picture, and the budget's curve beside it."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from convert.verify.front import Curve, budget_curve, front_svg, front_table
from edge.checkpoint.names.hub import expected_parameters
from edge.config import LayerQuantization
from edge.plan.recipes import Format
from tests.unit.convert.budget.test_spend import between, market
from tests.unit.convert.verify.test_report import REPORT, SCORE, candidate

CURVE = Curve(((4, 0.4), (8, 0.1)), "Told.")
TWO = replace(REPORT, candidates=(candidate("big <1>", 8, 0.3), candidate("small", 4, 0.5)))


def test_the_curve_is_read_between_its_points_and_nowhere_else() -> None:
    assert CURVE.at(4) == pytest.approx(0.4)
    assert CURVE.at(6) == pytest.approx(0.2)
    assert CURVE.at(9) is None


def test_the_table_says_who_is_on_the_front_and_what_a_budget_would_reach() -> None:
    lines = front_table(replace(TWO, candidates=(*TWO.candidates, candidate("worse", 6, 0.6))), CURVE)
    assert lines[2] == "| small | 4 bytes | 0.5000 | yes | 0.4000 |"
    assert lines[3] == "| worse | 6 bytes | 0.6000 | no | 0.2000 |"
    assert lines[-1] == "Told."


@pytest.mark.parametrize("kl", [0.3, 0.0, float("nan"), float("inf")])
def test_the_picture_is_sound_xml_with_every_candidate(kl: float) -> None:
    text = front_svg(replace(TWO, candidates=(candidate("big <1>", 8, kl), TWO.candidates[1])), CURVE)
    root = ElementTree.fromstring(text)
    words = [node.text or "" for node in root.iter() if node.tag.endswith("text")]
    assert any(word.startswith("big <1>") for word in words)
    assert any(word.startswith("small") for word in words)


def test_the_curve_falls_and_is_scaled_to_what_was_measured() -> None:
    found = market()
    form = LayerQuantization(group_size=64, bits=4, mode="affine")
    shapes = expected_parameters(found.config)
    fitting = [name for members in found.members for name in members if shapes[name][-1] % 64 == 0]
    formats: dict[str, dict[str, Format]] = {"one": dict.fromkeys(fitting, form)}
    predicted = found.loss_of(formats["one"])
    result = replace(candidate("one", between(found, 0.2), 0.0), kinds=(replace(SCORE, mean_kl=3 * predicted),))
    curve = budget_curve(found, [result], formats)
    plain = budget_curve(found, [result], {})
    values = [value for _, value in curve.points]
    assert values == sorted(values, reverse=True)
    assert values[0] == pytest.approx(3 * plain.points[0][1])
    assert "Scaled by 3.00" in curve.note
