"""Errors on a few rows against those of the whole matrix, and the model of them where there are no weights."""

from __future__ import annotations

import mlx.core as mx
import pytest

from convert.budget.errors import MODELLED, SAMPLE_WEIGHTS, Sampled, Samples, packing_error
from edge.checkpoint.folder import open_checkpoint, read_parameters
from edge.config import LayerQuantization
from edge.loading import demo_folder

EXPERTS = "language_model.model.layers.1.mlp.switch_mlp.down_proj.weight"


def affine(bits: int, group_size: int) -> LayerQuantization:
    return LayerQuantization(group_size=group_size, bits=bits, mode="affine")


@pytest.mark.parametrize(("bits", "group_size"), [(3, 64), (4, 32), (6, 128)])
def test_the_model_of_errors_holds_for_normal_weights(bits: int, group_size: int) -> None:
    rows = mx.random.normal((64, 512), key=mx.random.key(3))
    sampled = Sampled(rows, float(mx.square(rows).mean()))
    found = packing_error(sampled, affine(bits, group_size), is_searched=True)
    assert found == pytest.approx(MODELLED[bits, group_size], rel=0.05)


def test_some_rows_tell_the_error_of_all() -> None:
    checkpoint = open_checkpoint(demo_folder())
    whole = dict(read_parameters(checkpoint, dtype=mx.float32))[EXPERTS]
    sampled = Samples(checkpoint).take(EXPERTS)
    assert sampled.rows is not None
    assert sampled.rows.size <= SAMPLE_WEIGHTS
    every = Sampled(whole.reshape(-1, whole.shape[-1]), float(mx.square(whole).mean()))
    errors = [packing_error(one, affine(4, 64), is_searched=True) for one in (sampled, every)]
    assert sampled.mean_square == pytest.approx(every.mean_square, rel=0.05)
    assert errors[0] == pytest.approx(errors[1], rel=0.05)


def test_without_weights_the_model_counts_and_bfloat16_is_free() -> None:
    assert packing_error(Sampled(None, 0.0), affine(4, 64), is_searched=True) == MODELLED[4, 64]
    assert packing_error(Sampled(None, 0.0), None, is_searched=True) == 0.0
