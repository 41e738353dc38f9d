"""Joined projections: one matrix where the parts are stored alike, several where not, the same numbers either way."""

from __future__ import annotations

from collections.abc import Iterable

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from edge.checkpoint.build import build_model, num_model_bytes
from edge.checkpoint.names import joined
from edge.checkpoint.names.joined import JOINED, JOINED_NORM, join_names, join_parameters
from edge.config import LayerQuantization, ModelConfig
from edge.kv.make import make_memory
from edge.model.linear import Linear
from edge.model.quantized import Parts, QuantizedLinear, QuantizedSwitchLinear
from edge.model.qwen3vl import Qwen3VL
from tests.unit.checkpoint.checkpoints import Parameters, parameters_of, random_parameters
from tests.unit.model.tiny import CONFIG, DENSE_CONFIG, randomize

CONFIGS = pytest.mark.parametrize("config", [CONFIG, DENSE_CONFIG], ids=["moe", "dense"])
IDS = mx.array(np.arange(40)[None] % 128)
IMAGE_POSITIONS = np.broadcast_to(np.arange(40), (3, 1, 40)).copy()
IMAGE_POSITIONS[2, 0, 5:9] = [5, 6, 5, 6]
FOUR_BITS = LayerQuantization(group_size=32, bits=4, mode="affine")
EIGHT_BITS = LayerQuantization(group_size=32, bits=8, mode="affine")
FIRST = "language_model.model.layers.0"


def logits(model: Qwen3VL) -> mx.array:
    memory = [make_memory(model.config.text, kv_bits=None)]
    first = model(IDS, positions=IMAGE_POSITIONS, memory=memory)
    return mx.concatenate([first, model(mx.array([[5]]), positions=np.full((3, 1, 1), 40), memory=memory)], axis=1)


def all_packed(config: ModelConfig) -> dict[str, LayerQuantization]:
    """Pack every matrix of the decoder layers with four bits."""
    return {
        name.removesuffix(".weight"): FOUR_BITS
        for name, array in random_parameters(config).items()
        if ".layers." in name and array.ndim > 1
    }


def packed_parameters(config: ModelConfig, forms: dict[str, LayerQuantization]) -> Parameters:
    parameters: Parameters = {}
    for name, array in random_parameters(config).items():
        module = name.removesuffix(".weight")
        if module not in forms:
            parameters[name] = array
            continue
        form = forms[module]
        names = (name, f"{module}.scales", f"{module}.biases")
        parameters |= dict(zip(names, mx.quantize(array, form.group_size, form.bits), strict=True))
    return parameters


def keep_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every part a matrix of its own."""
    monkeypatch.setattr(joined, "groupby", lambda names, key: [(key(name), [name]) for name in names])


@CONFIGS
@pytest.mark.parametrize("is_packed", [False, True])
def test_joined_projections_give_the_logits_of_separate_ones(
    config: ModelConfig, is_packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    forms = all_packed(config) if is_packed else {}
    parameters = packed_parameters(config, forms)
    joined = build_model(config, forms, parameters.items())
    layer = joined.language_model.model.layers[0]
    projections = (
        layer.self_attn.qkv_proj,
        (layer.mlp if config is DENSE_CONFIG else layer.mlp.switch_mlp).gate_up_proj,
    )
    assert not any(isinstance(projection, Parts) for projection in projections)
    packed_kinds = nn.QuantizedLinear | QuantizedSwitchLinear
    assert all(isinstance(projection, packed_kinds) == is_packed for projection in projections)
    keep_apart(monkeypatch)
    apart = build_model(config, forms, parameters.items())
    assert len(apart.language_model.model.layers[0].self_attn.qkv_proj.parts) == 3
    np.testing.assert_allclose(np.array(logits(joined)), np.array(logits(apart)), rtol=1e-4, atol=1e-5)


def test_projections_stored_with_unlike_bits_stay_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    forms = all_packed(DENSE_CONFIG) | {f"{FIRST}.self_attn.v_proj": EIGHT_BITS}
    del forms[f"{FIRST}.mlp.up_proj"]
    parameters = packed_parameters(DENSE_CONFIG, forms)
    found = build_model(DENSE_CONFIG, forms, parameters.items())
    first, second = found.language_model.model.layers[:2]
    queries_and_keys, values = first.self_attn.qkv_proj.parts  # like neighbours are joined
    assert [(part.bits, part.weight.shape[0]) for part in (queries_and_keys, values)] == [(4, 6 * 24), (8, 2 * 24)]
    assert [type(part) for part in first.mlp.gate_up_proj.parts] == [QuantizedLinear, Linear]
    assert not isinstance(second.self_attn.qkv_proj, Parts)
    keep_apart(monkeypatch)
    expected = logits(build_model(DENSE_CONFIG, forms, parameters.items()))
    np.testing.assert_allclose(np.array(logits(found)), np.array(expected), rtol=1e-4, atol=1e-5)


@CONFIGS
def test_joining_keeps_no_second_copy_of_the_weights(config: ModelConfig) -> None:
    parameters = random_parameters(config)
    separate = sum(array.nbytes for array in parameters.values())
    norms = config.text.num_layers * 4 * config.text.head_dim
    repeated = norms * (config.text.num_heads + 2 * config.text.num_kv_heads - 2)
    assert num_model_bytes(build_model(config, {}, parameters.items())) - separate == repeated


def test_a_matrix_is_joined_before_the_next_one_is_read() -> None:
    rules = join_names(CONFIG, {}).rules
    seen: list[str] = []

    def read() -> Iterable[tuple[str, mx.array]]:
        for name, array in random_parameters(CONFIG).items():
            seen.append(name)
            yield name, array

    for name, _ in join_parameters(read(), rules):
        sources = next((rule.sources for rule in rules if name in [target.name for target in rule.targets]), (name,))
        assert seen[-1] in sources, f"{name} came after {seen[-1]} was read"


@CONFIGS
@pytest.mark.parametrize("is_packed", [False, True])
def test_rules_taken_backwards_give_the_published_parameters(config: ModelConfig, is_packed: bool) -> None:
    forms = all_packed(config) | ({f"{FIRST}.self_attn.v_proj": EIGHT_BITS} if is_packed else {})
    forms = forms if is_packed else {}
    parameters = packed_parameters(config, forms)
    found = parameters_of(build_model(config, forms, parameters.items()))
    assert found.keys() == parameters.keys()
    assert all(mx.array_equal(found[name], parameters[name]) for name in parameters)


def test_a_missing_part_is_refused() -> None:
    parameters = random_parameters(CONFIG)
    del parameters[f"{FIRST}.self_attn.k_proj.weight"]
    with pytest.raises(ValueError, match=r"layers\.0\.self_attn\.qkv_proj\.weight"):
        build_model(CONFIG, {}, parameters.items())


def test_gate_and_up_in_the_wrong_order_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = random_parameters(CONFIG)
    expected = np.array(logits(build_model(CONFIG, {}, parameters.items())))
    experts = "mlp.switch_mlp.gate_up_proj"
    monkeypatch.setitem(JOINED, experts, JOINED[experts][::-1])
    found = np.array(logits(build_model(CONFIG, {}, parameters.items())))
    assert np.linalg.norm(found - expected) / np.linalg.norm(expected) > 1e-3


def test_norms_of_queries_and_keys_are_not_mixed_up() -> None:
    parameters = random_parameters(CONFIG)
    layer = build_model(CONFIG, {}, parameters.items()).language_model.model.layers[0]
    joined = mx.concatenate(layer.self_attn[JOINED_NORM.rpartition(".")[2]], axis=-1)[:, 0, 0]
    assert all(mx.array_equal(row, parameters[f"{FIRST}.self_attn.q_norm.weight"]) for row in joined[:4])
    assert all(mx.array_equal(row, parameters[f"{FIRST}.self_attn.k_norm.weight"]) for row in joined[4:])


def test_randomize_fills_every_parameter_differently() -> None:
    layer = nn.Linear(4, 4)
    randomize(layer)
    assert float(mx.abs(layer.weight[0] - layer.bias).max()) > 0
