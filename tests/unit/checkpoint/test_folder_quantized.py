"""Packed MLX folders: every mode, settings per layer, and configurations that contradict the shards."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from edge.checkpoint.folder import load_folder
from edge.config_json import model_config_from_dict
from edge.errors import WeightError
from tests.unit.checkpoint.checkpoints import (
    Json,
    Parameters,
    pack,
    parameters_of,
    random_parameters,
    tiny_config_json,
    write_config,
    write_mlx_folder,
    write_shards,
)

MOE = tiny_config_json()
PARAMETERS = random_parameters(model_config_from_dict(MOE))
AFFINE = {"group_size": 32, "bits": 4, "mode": "affine"}
ROUTER = "language_model.model.layers.0.mlp.gate"
VISION = ("vision_tower.",)
MODES = [
    *({"group_size": 32, "bits": bits, "mode": "affine"} for bits in (2, 3, 4, 5, 6, 8)),
    {"group_size": 32, "bits": 4, "mode": "mxfp4"},
    {"group_size": 32, "bits": 8, "mode": "mxfp8"},
    {"group_size": 16, "bits": 4, "mode": "nvfp4"},
]


def unpack(packed: Parameters, quantization: Json) -> Parameters:
    """Decode packed tensors with MLX, float32."""
    plain = dict(packed)
    for name in packed:
        module = name.removesuffix(".scales")
        if module != name:
            setting = {key: quantization.get(module, quantization)[key] for key in ("group_size", "bits", "mode")}
            weight, scales, biases = (plain.pop(f"{module}.{part}", None) for part in ("weight", "scales", "biases"))
            assert weight is not None
            assert scales is not None
            plain[f"{module}.weight"] = mx.dequantize(weight, scales, biases, **setting, dtype=mx.float32)
    return plain


def logits(folder: Path) -> np.ndarray:
    positions = np.broadcast_to(np.arange(5, dtype=np.int32), (3, 1, 5))
    return np.array(load_folder(folder, dtype=mx.float32).model(mx.array([[5, 80, 33, 2, 7]]), positions=positions))


@pytest.mark.parametrize("quantization", MODES, ids=lambda entry: f"{entry['mode']}{entry['bits']}")
def test_packed_parameters_load_as_stored_and_give_the_logits_of_their_decoded_values(
    tmp_path: Path, quantization: Json
) -> None:
    folder = write_mlx_folder(tmp_path / "packed", MOE, PARAMETERS, quantization=quantization)
    packed = pack(PARAMETERS, quantization, plain=VISION)
    found = parameters_of(load_folder(folder, dtype=mx.float32).model)
    assert found.keys() == packed.keys()
    assert all(mx.array_equal(found[name], array) for name, array in packed.items())

    decoded = write_mlx_folder(tmp_path / "plain", MOE, unpack(packed, quantization))
    expected = logits(decoded)
    assert np.abs(logits(folder) - expected).max() <= 1e-5 * np.abs(expected).max()


def test_embeddings_router_and_head_may_be_packed_or_not(tmp_path: Path) -> None:
    plain = (*VISION, ROUTER, "language_model.model.embed_tokens", "language_model.lm_head")
    folder = write_mlx_folder(tmp_path, MOE, PARAMETERS, quantization=AFFINE, plain=plain)
    found = parameters_of(load_folder(folder).model)
    assert f"{ROUTER}.scales" not in found
    assert "language_model.model.layers.2.mlp.gate.scales" in found


@pytest.mark.parametrize(
    ("setting", "dtypes"),
    [
        ({"group_size": 64, "bits": 8}, (mx.uint32, mx.bfloat16)),
        ({"group_size": 64, "bits": 8, "mode": "affine"}, (mx.uint32, mx.bfloat16)),
        ({"group_size": 32, "bits": 8, "mode": "mxfp8"}, (mx.uint32, mx.uint8)),
        (False, (mx.bfloat16, None)),
    ],
)
@pytest.mark.parametrize("default", [AFFINE, MODES[-1]], ids=["affine", "nvfp4"])
def test_settings_of_one_layer_differ_from_the_default(
    tmp_path: Path, default: Json, setting: Json | bool, dtypes: tuple[mx.Dtype, mx.Dtype | None]
) -> None:
    quantization = {**default, ROUTER: setting}
    folder = write_mlx_folder(tmp_path, MOE, PARAMETERS, quantization=quantization)
    found = parameters_of(load_folder(folder, dtype=mx.bfloat16).model)
    scales = found.get(f"{ROUTER}.scales")
    assert (found[f"{ROUTER}.weight"].dtype, None if scales is None else scales.dtype) == dtypes


def test_affine_scales_take_the_compute_type_and_words_do_not(tmp_path: Path) -> None:
    folder = write_mlx_folder(tmp_path, MOE, PARAMETERS, quantization=AFFINE)
    found = parameters_of(load_folder(folder, dtype=mx.bfloat16).model)
    assert {array.dtype for name, array in found.items() if f"{name}.".count(".scales.")} == {mx.bfloat16}
    assert {array.dtype for array in found.values()} == {mx.bfloat16, mx.uint32}


def test_a_packed_vision_layer_loads_too(tmp_path: Path) -> None:
    plain = ("vision_tower.pos_embed", "vision_tower.patch_embed", "vision_tower.blocks.0.mlp", "vision_tower.blocks.1",
             "vision_tower.blocks.2")  # fmt: skip
    folder = write_mlx_folder(tmp_path, MOE, PARAMETERS, quantization=AFFINE, plain=plain)
    found = parameters_of(load_folder(folder).model)
    assert "vision_tower.merger.linear_fc1.scales" in found
    assert "vision_tower.blocks.1.attn.qkv.scales" not in found


@pytest.mark.parametrize(
    ("written", "told", "message"),
    [
        (AFFINE, None, r"shards hold packed weights \(.*\.scales\), config\.json has no quantization"),
        (AFFINE, {**AFFINE, "bits": 8}, r"should have shape \[.*\], found \[.*\]"),
        (AFFINE, {**AFFINE, "group_size": 64}, r"scales should have shape"),
        (AFFINE, MODES[-3], r"mxfp4|should be stored as U8|do not belong"),
        (AFFINE, {**AFFINE, ROUTER: False}, r"says .*gate is not quantized, the shards hold .*gate\.scales"),
        ({**AFFINE, ROUTER: False}, {**AFFINE, ROUTER: AFFINE}, r"mlp\.gate\.weight should have shape \[5, 8\]"),
    ],
)
def test_a_config_that_contradicts_the_shards_is_refused(
    tmp_path: Path, written: Json, told: Json | None, message: str
) -> None:
    write_shards(tmp_path, pack(PARAMETERS, written, plain=VISION))
    folder = write_config(tmp_path, MOE if told is None else {**MOE, "quantization": told})
    with pytest.raises(WeightError, match=message):
        load_folder(folder)


def test_hub_weights_under_an_mlx_config_are_refused(tmp_path: Path) -> None:
    write_shards(tmp_path, {"model.language_model.norm.weight": mx.zeros((64,))})
    with pytest.raises(
        WeightError, match=r"config\.json says MLX 4-bit weights, the shards hold tensors with hub names"
    ):
        load_folder(write_config(tmp_path, {**MOE, "quantization": AFFINE}))


def test_packed_norms_are_refused(tmp_path: Path) -> None:
    tensors = pack(PARAMETERS, AFFINE, plain=VISION)
    name = "language_model.model.norm"
    tensors |= {
        f"{name}.weight": mx.zeros((8,), mx.uint32),
        f"{name}.scales": mx.ones((2,)),
        f"{name}.biases": mx.ones(2),
    }
    write_shards(tmp_path, tensors)
    with pytest.raises(WeightError, match="expected packed weights only for linear layers"):
        load_folder(write_config(tmp_path, {**MOE, "quantization": AFFINE}))


def test_a_width_that_does_not_split_into_groups_is_refused(tmp_path: Path) -> None:
    tensors = pack(PARAMETERS, AFFINE, plain=VISION)
    name = "vision_tower.blocks.0.mlp.linear_fc2"  # 48 inputs, groups of 32
    tensors |= {f"{name}.weight": mx.zeros((32, 6), mx.uint32), f"{name}.scales": mx.ones((32, 1))}
    write_shards(tmp_path, {**tensors, f"{name}.biases": mx.ones((32, 1))})
    with pytest.raises(WeightError, match=r"linear_fc2: cannot hold .*group_size=32"):
        load_folder(write_config(tmp_path, {**MOE, "quantization": AFFINE}))
