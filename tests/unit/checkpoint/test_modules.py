"""A model gets the packed modules that its files need; what does not fit is refused with its path."""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn
import pytest

from edge.checkpoint.modules import quantize_modules
from edge.config import LayerQuantization, QuantizationConfig
from edge.errors import WeightError
from edge.model.moe import SwitchLinear
from tests.unit.model.tiny import tiny_model

FOUR_BITS = LayerQuantization(group_size=32, bits=4, mode="affine")
EIGHT_BITS = LayerQuantization(group_size=32, bits=8, mode="affine")
THREE_BITS = LayerQuantization(group_size=64, bits=3, mode="affine")
SETTINGS = [
    FOUR_BITS,
    EIGHT_BITS,
    LayerQuantization(group_size=32, bits=4, mode="mxfp4"),
    LayerQuantization(group_size=32, bits=8, mode="mxfp8"),
    LayerQuantization(group_size=16, bits=4, mode="nvfp4"),
]
IDS = [f"{setting.mode} {setting.bits} bits" for setting in SETTINGS]
EXPERTS = "language_model.model.layers.0.mlp.switch_mlp.gate_up_proj"
ROUTER = "language_model.model.layers.0.mlp.gate"
EMBEDDING = "language_model.model.embed_tokens"


@pytest.mark.parametrize("setting", SETTINGS, ids=IDS)
def test_packed_modules_have_the_parameters_of_published_files(setting: LayerQuantization) -> None:
    model = tiny_model()
    quantize_modules(model, QuantizationConfig(default=setting), stored_paths=[EXPERTS, ROUTER, EMBEDDING])
    modules = dict(model.named_modules())
    names = {"weight", "scales", "biases"} if setting.mode == "affine" else {"weight", "scales"}
    for path in (EXPERTS, ROUTER, EMBEDDING):
        assert set(modules[path].parameters()) == names
        assert modules[path].weight.dtype == mx.uint32
    assert modules[EXPERTS].weight.shape == (6, 64, 64 * setting.bits // 32)
    untouched = modules["language_model.model.layers.1.mlp.switch_mlp.gate_up_proj"]
    assert isinstance(untouched, SwitchLinear)


def test_settings_of_single_layers_win_over_the_default() -> None:
    model = tiny_model()
    default, own = FOUR_BITS, EIGHT_BITS
    quantize_modules(model, QuantizationConfig(default=default, layers={ROUTER: own}), stored_paths=[EXPERTS, ROUTER])
    router = dict(model.named_modules())[ROUTER]
    assert isinstance(router, nn.QuantizedLinear)
    assert (router.bits, dict(model.named_modules())[EXPERTS].setting.bits) == (8, 4)


def test_packed_weights_for_no_module_are_refused() -> None:
    with pytest.raises(WeightError, match=r"no\.such\.layer"):
        quantize_modules(tiny_model(), QuantizationConfig(default=FOUR_BITS), stored_paths=["no.such.layer"])


def test_packed_weights_of_a_norm_are_refused() -> None:
    with pytest.raises(WeightError, match="only for linear layers"):
        quantize_modules(
            tiny_model(), QuantizationConfig(default=FOUR_BITS), stored_paths=["language_model.model.norm"]
        )


def test_packed_weights_that_the_config_says_are_plain_are_refused() -> None:
    with pytest.raises(WeightError, match="says they are not"):
        quantize_modules(
            tiny_model(), QuantizationConfig(default=FOUR_BITS, layers={ROUTER: None}), stored_paths=[ROUTER]
        )


def test_a_group_size_that_does_not_fit_is_refused() -> None:
    down = "language_model.model.layers.0.mlp.switch_mlp.down_proj"
    with pytest.raises(WeightError, match="cannot hold"):
        quantize_modules(tiny_model(), QuantizationConfig(default=THREE_BITS), stored_paths=[down])
