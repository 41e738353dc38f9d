"""Joined projections: fewer kernels, the same numbers."""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten

from edge.cache.kv import make_cache
from edge.config import LayerQuantization, ModelConfig, QuantizationConfig
from edge.model.attention import Attention
from edge.model.fused import FusedAttention, FusedMLP, FusedSwitchGLU, fuse_layer
from edge.model.moe import MLP, SwitchLinear
from edge.model.quantized import QuantizedSwitchLinear, quantize_modules
from edge.model.qwen3vl import Qwen3VL
from tests.unit.model.tiny import CONFIG, DENSE_CONFIG, randomize, tiny_model

IDS = mx.array(np.arange(40)[None] % 128)
IMAGE_POSITIONS = np.broadcast_to(np.arange(40), (3, 1, 40)).copy()
IMAGE_POSITIONS[2, 0, 5:9] = [5, 6, 5, 6]
FOUR_BITS = LayerQuantization(group_size=32, bits=4, mode="affine")


def logits(model: Qwen3VL) -> mx.array:
    cache = make_cache(model.config.text)
    first = model(IDS, positions=IMAGE_POSITIONS, cache=cache)
    return mx.concatenate([first, model(mx.array([[5]]), positions=np.full((3, 1, 1), 40), cache=cache)], axis=1)


def fused(model: Qwen3VL) -> Qwen3VL:
    for layer in model.language_model.model.layers:
        fuse_layer(layer)
        mx.eval(layer.parameters())
    return model


def num_bytes(model: nn.Module) -> int:
    return sum(array.nbytes for array in dict(tree_flatten(model.parameters())).values())


def packed_model(config: ModelConfig, settings: QuantizationConfig) -> Qwen3VL:
    """Quantize every matrix of the decoder layers that has a setting."""
    plain, model = tiny_model(config), tiny_model(config)
    paths = [
        path
        for path, module in plain.named_modules()
        if isinstance(module, nn.Linear | SwitchLinear) and ".layers." in path and settings.of(path)
    ]
    quantize_modules(model, settings, stored_paths=paths)
    weights = dict(plain.named_modules())
    for path, module in model.named_modules():
        if isinstance(module, nn.QuantizedLinear | QuantizedSwitchLinear):
            setting = settings.of(path)
            assert setting is not None
            arrays = mx.quantize(weights[path].weight, setting.group_size, setting.bits)
            module.update(dict(zip(("weight", "scales", "biases"), arrays, strict=True)))
    return model


@pytest.mark.parametrize("config", [CONFIG, DENSE_CONFIG], ids=["moe", "dense"])
def test_joined_projections_give_the_same_logits(config: ModelConfig) -> None:
    expected = np.array(logits(tiny_model(config)))
    np.testing.assert_allclose(np.array(logits(fused(tiny_model(config)))), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("config", [CONFIG, DENSE_CONFIG], ids=["moe", "dense"])
def test_joined_packed_projections_give_the_same_logits(config: ModelConfig) -> None:
    settings = QuantizationConfig(default=FOUR_BITS)
    expected = np.array(logits(packed_model(config, settings)))
    found = fused(packed_model(config, settings))
    layer = found.language_model.model.layers[0]
    assert isinstance(layer.self_attn, FusedAttention)
    assert isinstance(layer.self_attn.qkv_proj, nn.QuantizedLinear)
    assert isinstance(layer.mlp if config is DENSE_CONFIG else layer.mlp.switch_mlp, FusedMLP | FusedSwitchGLU)
    np.testing.assert_allclose(np.array(logits(found)), expected, rtol=1e-4, atol=1e-5)


def test_projections_stored_with_unlike_bits_stay_apart() -> None:
    eight = LayerQuantization(group_size=32, bits=8, mode="affine")
    prefix = "language_model.model.layers.0"
    settings = QuantizationConfig(
        default=FOUR_BITS, layers={f"{prefix}.self_attn.v_proj": eight, f"{prefix}.mlp.up_proj": None}
    )
    expected = np.array(logits(packed_model(DENSE_CONFIG, settings)))
    found = fused(packed_model(DENSE_CONFIG, settings))
    layers = found.language_model.model.layers
    assert (type(layers[0].self_attn), type(layers[0].mlp)) == (Attention, MLP)
    assert (type(layers[1].self_attn), type(layers[1].mlp)) == (FusedAttention, FusedMLP)
    np.testing.assert_allclose(np.array(logits(found)), expected, rtol=1e-4, atol=1e-5)


def test_joining_keeps_no_second_copy_of_the_weights() -> None:
    model = tiny_model()
    before = num_bytes(model)
    after = num_bytes(fused(model))
    norms = CONFIG.text.num_layers * 4 * CONFIG.text.head_dim
    assert after - before == norms * (CONFIG.text.num_heads + CONFIG.text.num_kv_heads - 2)


def test_gate_and_up_in_the_wrong_order_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = np.array(logits(tiny_model()))
    right = FusedSwitchGLU.gate_and_up
    monkeypatch.setattr(FusedSwitchGLU, "gate_and_up", lambda *args, **kwargs: right(*args, **kwargs)[::-1])
    found = np.array(logits(fused(tiny_model())))
    assert np.linalg.norm(found - expected) / np.linalg.norm(expected) > 1e-3


def test_randomize_fills_every_parameter_differently() -> None:
    layer = nn.Linear(4, 4)
    randomize(layer)
    assert float(mx.abs(layer.weight[0] - layer.bias).max()) > 0
