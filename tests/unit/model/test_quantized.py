"""Packed modules: the same numbers as their unpacked matrices, in every mode; parts of a projection."""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from edge.checkpoint.modules import quantize_modules, split_modules
from edge.config import LayerQuantization, QuantizationConfig
from edge.model.moe import MLP, SORT_FROM_ROWS, SwitchGLU
from edge.model.quantized import QuantizedSwitchLinear, project_to
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
    experts = mx.random.randint(0, 5, (num_rows, 1, 2), key=mx.random.key(2)).astype(mx.uint32)
    found, expected = packed_glu(rows, experts), glu(rows, experts)
    assert isinstance(packed_glu.gate_up_proj, QuantizedSwitchLinear)
    assert found.shape == (num_rows, 2, 64)
    np.testing.assert_allclose(np.array(found), np.array(expected), rtol=1e-4, atol=1e-4)


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


def test_a_projection_in_parts_gives_the_outputs_of_one_matrix() -> None:
    mlp, switch = MLP(64, 96), SwitchGLU(64, 96, 5)
    rows = mx.random.normal((7, 1, 64), key=mx.random.key(1))
    experts = mx.random.randint(0, 5, (7, 1, 2), key=mx.random.key(2)).astype(mx.uint32)
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
