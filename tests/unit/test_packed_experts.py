"""Experts unpacked for many rows: the products of packed ones, whatever the cuts, in every mode."""

from __future__ import annotations

from unittest.mock import Mock

import mlx.core as mx
import numpy as np
import pytest

from edge import packed_experts
from edge.config import LayerQuantization
from edge.model import quantized
from edge.model.moe import SwitchGLU
from edge.model.quantized import QuantizedSwitchLinear
from edge.packed_experts import OUTPUTS_STEP, UNPACK_FROM_PAIRS, multiply_unpacked
from tests.unit.model.test_quantized import IDS, SETTINGS, pack

EXPERTS, OUTPUTS, INPUTS, ROWS = 5, 192, 64, 40
PLAIN_BYTES = EXPERTS * OUTPUTS * INPUTS * 4


def drawn(setting: LayerQuantization) -> tuple[QuantizedSwitchLinear, mx.array, mx.array]:
    """Return packed experts, rows, and the expert of each, going up; one expert has none."""
    packed = pack(mx.random.normal((EXPERTS, OUTPUTS, INPUTS), key=mx.random.key(1)), setting)
    module = QuantizedSwitchLinear(INPUTS, OUTPUTS, EXPERTS, setting)
    module.update(dict(zip(("weight", "scales", "biases"), packed, strict=False)))
    choice = mx.array(np.sort(np.random.default_rng(2).choice([0, 1, 3, 4], ROWS)).astype(np.uint32))
    return module, mx.random.normal((ROWS, 1, INPUTS), key=mx.random.key(3)), choice


def product(module: QuantizedSwitchLinear, rows: mx.array, experts: mx.array) -> np.ndarray:
    biases = module.get("biases")
    return np.array(multiply_unpacked(rows, module.weight, module.scales, biases, experts, setting=module.setting))


@pytest.mark.parametrize("num_cuts", [1, 2, 3])
@pytest.mark.parametrize("setting", SETTINGS, ids=IDS)
def test_products_are_those_of_packed_experts(
    setting: LayerQuantization, num_cuts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, rows, experts = drawn(setting)
    monkeypatch.setattr(packed_experts, "UNPACKED_BYTES", -(-PLAIN_BYTES // num_cuts))
    found, expected = product(module, rows, experts), np.array(module(rows, experts, True, 1))
    assert found.shape == (ROWS, 1, OUTPUTS)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    wrong = product(module, rows, mx.minimum(experts + 1, 4).astype(mx.uint32))
    assert np.abs(wrong - expected).max() > 0.1


def test_a_cut_has_no_more_bytes_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    module, rows, experts = drawn(SETTINGS[0])
    dequantize = Mock(wraps=mx.dequantize)
    monkeypatch.setattr(packed_experts, "UNPACKED_BYTES", PLAIN_BYTES // 2)
    monkeypatch.setattr(mx, "dequantize", dequantize)
    product(module, rows, experts)
    outputs = [call.args[0].shape[1] for call in dequantize.call_args_list]
    assert outputs == [2 * OUTPUTS_STEP, OUTPUTS - 2 * OUTPUTS_STEP]


@pytest.mark.parametrize("num_pairs", [UNPACK_FROM_PAIRS, UNPACK_FROM_PAIRS - 2])
def test_many_pairs_are_unpacked_where_packed_ones_are_slow(num_pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    glu = SwitchGLU(INPUTS, 64, EXPERTS)
    for name in ("gate_up_proj", "down_proj"):
        shape = glu[name].weight.shape
        module = QuantizedSwitchLinear(shape[2], shape[1], EXPERTS, SETTINGS[0])
        module.update(
            dict(zip(("weight", "scales", "biases"), pack(mx.random.normal(shape), SETTINGS[0]), strict=True))
        )
        glu[name] = module
    rows = mx.random.normal((num_pairs // 2, 1, INPUTS))
    experts = mx.random.randint(0, EXPERTS, (num_pairs // 2, 1, 2)).astype(mx.uint32)
    expected, multiply = np.array(glu(rows, experts)), Mock(wraps=multiply_unpacked)
    monkeypatch.setattr(quantized, "is_packed_slow", lambda: True)
    monkeypatch.setattr(quantized, "multiply_unpacked", multiply)
    np.testing.assert_allclose(np.array(glu(rows, experts)), expected, rtol=1e-4, atol=1e-4)
    assert multiply.call_count == (2 if num_pairs >= UNPACK_FROM_PAIRS else 0)
