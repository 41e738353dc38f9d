"""Packed modules: the same numbers as their unpacked matrices, in every mode, and clear refusals."""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from edge.config import LayerQuantization, QuantizationConfig
from edge.errors import WeightError
from edge.model.moe import MLP, SORT_FROM_ROWS, SwitchGLU, SwitchLinear
from edge.model.quantized import QuantizedSwitchLinear, project_to, quantize_modules, split_modules
from tests.unit.model.tiny import randomize, tiny_model

SETTINGS = [
    LayerQuantization(group_size=32, bits=4, mode="affine"),
    LayerQuantization(group_size=32, bits=8, mode="affine"),
    LayerQuantization(group_size=64, bits=3, mode="affine"),
    LayerQuantization(group_size=64, bits=6, mode="affine"),
    LayerQuantization(group_size=32, bits=4, mode="mxfp4"),
    LayerQuantization(group_size=32, bits=8, mode="mxfp8"),
    LayerQuantization(group_size=16, bits=4, mode="nvfp4"),
]
IDS = [f"{setting.mode} {setting.bits} bits" for setting in SETTINGS]
EXPERTS = "language_model.model.layers.0.mlp.switch_mlp.gate_up_proj"
ROUTER = "language_model.model.layers.0.mlp.gate"
EMBEDDING = "language_model.model.embed_tokens"


def pack(array: mx.array, setting: LayerQuantization) -> list[mx.array]:
    return list(mx.quantize(array, group_size=setting.group_size, bits=setting.bits, mode=setting.mode))


def unpack(packed: list[mx.array], setting: LayerQuantization) -> mx.array:
    biases = packed[2] if len(packed) > 2 else None
    options = (setting.group_size, setting.bits, setting.mode)
    return mx.dequantize(packed[0], packed[1], biases, *options, dtype=mx.float32)


@pytest.mark.parametrize("setting", SETTINGS, ids=IDS)
@pytest.mark.parametrize("num_rows", [3, SORT_FROM_ROWS])
def test_packed_experts_equal_their_unpacked_matrices(setting: LayerQuantization, num_rows: int) -> None:
    glu, packed_glu = SwitchGLU(64, 128, 5), SwitchGLU(64, 128, 5)
    randomize(glu)
    quantize_modules(packed_glu, QuantizationConfig(default=setting), stored_paths=["gate_up_proj", "down_proj"])
    for name in ("gate_up_proj", "down_proj"):
        packed = pack(glu[name].weight, setting)
        glu[name].weight = unpack(packed, setting)
        packed_glu[name].update(dict(zip(("weight", "scales", "biases"), packed, strict=False)))
    rows = mx.random.normal((num_rows, 1, 64), key=mx.random.key(1))
    experts = mx.random.randint(0, 5, (num_rows, 2), key=mx.random.key(2)).astype(mx.uint32)
    found, expected = packed_glu(rows, experts), glu(rows, experts)
    assert isinstance(packed_glu.gate_up_proj, QuantizedSwitchLinear)
    assert found.shape == (num_rows, 2, 64)
    np.testing.assert_allclose(np.array(found), np.array(expected), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("setting", SETTINGS[:2] + SETTINGS[4:], ids=IDS[:2] + IDS[4:])
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


@pytest.mark.parametrize("setting", SETTINGS[:1] + SETTINGS[4:], ids=IDS[:1] + IDS[4:])
def test_a_packed_embedding_gives_the_compute_type(setting: LayerQuantization) -> None:
    model = tiny_model()
    decoder = model.language_model.model
    packed = pack(decoder.embed_tokens.weight, setting)
    quantize_modules(model, QuantizationConfig(default=setting), stored_paths=[EMBEDDING])
    decoder.embed_tokens.update(dict(zip(("weight", "scales", "biases"), packed, strict=False)))
    embedded = decoder.embed(mx.array([[3, 7]]), None)
    assert embedded.dtype == mx.float32  # MLX dequantizes the fp modes to bfloat16
    np.testing.assert_allclose(np.array(embedded[0]), np.array(unpack(packed, setting)[mx.array([3, 7])]), rtol=5e-3)


def test_settings_of_single_layers_win_over_the_default() -> None:
    model = tiny_model()
    default, own = SETTINGS[0], SETTINGS[1]
    quantize_modules(model, QuantizationConfig(default=default, layers={ROUTER: own}), stored_paths=[EXPERTS, ROUTER])
    router = dict(model.named_modules())[ROUTER]
    assert isinstance(router, nn.QuantizedLinear)
    assert (router.bits, dict(model.named_modules())[EXPERTS].setting.bits) == (8, 4)


def test_packed_weights_for_no_module_are_refused() -> None:
    with pytest.raises(WeightError, match=r"no\.such\.layer"):
        quantize_modules(tiny_model(), QuantizationConfig(default=SETTINGS[0]), stored_paths=["no.such.layer"])


def test_packed_weights_of_a_norm_are_refused() -> None:
    with pytest.raises(WeightError, match="only for linear layers"):
        quantize_modules(
            tiny_model(), QuantizationConfig(default=SETTINGS[0]), stored_paths=["language_model.model.norm"]
        )


def test_packed_weights_that_the_config_says_are_plain_are_refused() -> None:
    with pytest.raises(WeightError, match="says they are not"):
        quantize_modules(
            tiny_model(), QuantizationConfig(default=SETTINGS[0], layers={ROUTER: None}), stored_paths=[ROUTER]
        )


def test_a_group_size_that_does_not_fit_is_refused() -> None:
    down = "language_model.model.layers.0.mlp.switch_mlp.down_proj"
    with pytest.raises(WeightError, match="cannot hold"):
        quantize_modules(tiny_model(), QuantizationConfig(default=SETTINGS[2]), stored_paths=[down])


def test_a_projection_in_parts_gives_the_outputs_of_one_matrix() -> None:
    mlp, switch = MLP(64, 96), SwitchGLU(64, 96, 5)
    rows = mx.random.normal((7, 1, 64), key=mx.random.key(1))
    experts = mx.random.randint(0, 5, (7, 2), key=mx.random.key(2)).astype(mx.uint32)
    runs: list[tuple[MLP | SwitchGLU, Callable[[], mx.array]]] = [
        (mlp, lambda: mlp(rows, residual=mx.zeros_like(rows))),
        (switch, lambda: switch(rows, experts)),
    ]
    for module, run in runs:
        randomize(module)
        whole, expected = module.gate_up_proj.weight, run()
        split_modules(module, {"gate_up_proj": (100, 92)})
        for part, weight in zip(module.gate_up_proj.parts, mx.split(whole, [100], axis=-2), strict=True):
            assert part.weight.shape == weight.shape
            part.weight = weight
        np.testing.assert_allclose(np.array(run()), np.array(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.parametrize("sizes", [None, (100, 92)])
def test_some_outputs_of_a_projection_are_those_of_the_whole(is_packed: bool, sizes: tuple[int, int] | None) -> None:
    mlp, rows = MLP(64, 96), mx.random.normal((3, 64), key=mx.random.key(1))
    if sizes is not None:
        split_modules(mlp, {"gate_up_proj": sizes})
    randomize(mlp)
    if is_packed:
        nn.quantize(mlp, 32, 4)
    expected = np.array(mlp.gate_up_proj(rows))
    for start, stop in ((0, 192), (0, 64), (64, 192), (110, 150)):
        found = project_to(mlp.gate_up_proj, rows, start, stop)
        np.testing.assert_allclose(np.array(found), expected[:, start:stop], rtol=1e-5, atol=1e-6)
