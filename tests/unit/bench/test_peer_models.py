"""Other runtimes' models with our weights say what ours says; each is left out where it is not installed."""

from __future__ import annotations

import sys

import mlx.core as mx
import pytest

from edge.bench import device_check
from edge.bench.device_check import check_config, check_figures
from edge.bench.peer_models import mlx_lm_model, mlx_vlm_model
from edge.bench.random_model import random_model, random_parameters
from edge.bench.runners import MlxLmRunner, MlxVlmRunner, OurRunner
from edge.errors import UsageError
from tests.unit.bench.test_random_model import greedy
from tests.unit.model.tiny import DENSE_CONFIG

CONFIG = check_config(2)


def weights() -> dict[str, mx.array]:
    return dict(random_parameters(CONFIG, dtype=mx.float32))


@pytest.mark.parametrize("make", [mlx_lm_model, mlx_vlm_model])
def test_a_dense_model_is_not_compared(make: type) -> None:
    with pytest.raises(UsageError, match="expected a model with experts"):
        make(DENSE_CONFIG, weights)


@pytest.mark.parametrize(("package", "make"), [("mlx_lm", mlx_lm_model), ("mlx_vlm", mlx_vlm_model)])
def test_a_package_that_is_not_there_is_told(package: str, make: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.models", None)
    with pytest.raises(UsageError, match="expected it to be installed"):
        make(CONFIG, weights)


@pytest.mark.skipif(device_check.has_gpu(), reason="it would measure the 30B's prompt")
def test_what_is_left_out_is_noted_before_the_first_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("mlx_lm", "mlx_vlm"):
        monkeypatch.setitem(sys.modules, package, None)
        monkeypatch.setitem(sys.modules, f"{package}.models", None)
    notes: list[str] = []
    next(check_figures(check_config(1), notes))
    assert notes[1:] == [device_check.NO_PEER_NOTE.format(name) for name in ("mlx-lm", "mlx-vlm")]


def test_mlx_lm_with_the_same_weights_says_the_same() -> None:
    pytest.importorskip("mlx_lm", reason="mlx-lm is not installed", exc_type=ImportError)
    theirs = MlxLmRunner(mlx_lm_model(CONFIG, weights))
    assert greedy(OurRunner(random_model(CONFIG, dtype=mx.float32)), 6) == greedy(theirs, 6)


def test_mlx_vlm_with_the_same_weights_says_the_same() -> None:
    pytest.importorskip("mlx_vlm", reason="mlx-vlm is not installed", exc_type=ImportError)
    theirs = MlxVlmRunner(mlx_vlm_model(CONFIG, weights))
    assert greedy(OurRunner(random_model(CONFIG, dtype=mx.float32)), 6) == greedy(theirs, 6)
