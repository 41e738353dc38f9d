"""Gradients brought back by hand against differences of the loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from convert.calibration.arithmetic import square_of
from convert.calibration.backward import turn_layer_back
from convert.calibration.forward import LayerPass
from convert.calibration.moments import Floats
from convert.calibration.weights import LayerWeights
from tests.unit.convert.calibration.calibrating import text_samples, tiny_source
from tests.unit.convert.calibration.test_forward import states

_STEP = 1e-3  # no token changes its experts over it


@pytest.mark.parametrize("index", [0, 1])
def test_the_gradient_before_a_layer_predicts_small_changes(tmp_path: Path, index: int) -> None:
    source, samples = tiny_source(tmp_path / "source"), text_samples(count=2, length=7)
    text = source.checkpoint.config.text
    layer = LayerPass(LayerWeights(source.checkpoint, index), text)
    hidden, direction = states(14), states(28)[14:]
    cotangent = np.random.default_rng(9).standard_normal(hidden.shape).astype(np.float32)

    def loss(step: float) -> float:
        moved = (hidden + np.float32(step) * direction).astype(np.float32)
        return float((layer.run(moved, samples.samples)[0] * cotangent).sum(dtype=np.float64))

    before, _ = turn_layer_back(layer, text, hidden, samples.samples, cotangent)
    predicted = float((before * direction).sum(dtype=np.float64))
    assert predicted == pytest.approx((loss(_STEP) - loss(-_STEP)) / (2 * _STEP), rel=2e-2)
    mutant = float((cotangent * direction).sum(dtype=np.float64))  # the residual alone
    assert mutant != pytest.approx((loss(_STEP) - loss(-_STEP)) / (2 * _STEP), rel=2e-2)


@pytest.mark.parametrize("name", ["q", "k", "v", "o"])
def test_squares_of_a_projection_are_those_of_its_gradient(tmp_path: Path, name: str) -> None:
    source, samples = tiny_source(tmp_path / "source"), text_samples(count=1, length=6)
    text = source.checkpoint.config.text
    weights = LayerWeights(source.checkpoint, 1)
    layer, hidden = LayerPass(weights, text), states(6)
    cotangent = np.random.default_rng(3).standard_normal(hidden.shape).astype(np.float32)
    _, squares = turn_layer_back(layer, text, hidden, samples.samples, cotangent)
    place = f"self_attn.{name}_proj.weight"
    matrix = weights.others()[place]
    noise = np.random.default_rng(4).standard_normal((24, *matrix.shape)).astype(np.float32)

    def loss(changed: Floats) -> float:
        weights_of = weights.others() | {place: changed}
        changed_layer = LayerPass.__new__(LayerPass)
        changed_layer.__dict__.update(layer.__dict__)
        from convert.calibration.attention import AttentionSide

        changed_layer.attention = AttentionSide(text, weights_of)
        return float((changed_layer.run(hidden, samples.samples)[0] * cotangent).sum(dtype=np.float64))

    step = np.float32(1e-2)
    slopes = [(loss(matrix + step * one) - loss(matrix - step * one)) / (2 * float(step)) for one in noise]
    # The mean square of slopes along random directions is the square of the gradient; 24 draws give it within 60 %.
    assert np.mean(np.square(slopes)) == pytest.approx(squares[f"self_attn.{name}_proj"], rel=0.8)


def test_both_ways_to_square_agree() -> None:
    rng = np.random.default_rng(0)
    outputs, inputs = (rng.standard_normal((9, width)).astype(np.float32) for width in (5, 30))
    direct = float(np.square(outputs.T @ inputs).sum())
    assert square_of(outputs, inputs) == pytest.approx(direct, rel=1e-5)
    wide = np.concatenate([outputs] * 3, axis=1)
    assert square_of(wide, inputs) == pytest.approx(3 * direct, rel=1e-5)
