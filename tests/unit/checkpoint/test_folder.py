"""Folders: every layout gives the same parameters, and a folder that does not fit says why in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from edge.checkpoint.files.shards import SafetensorsFile
from edge.checkpoint.folder import LoadedModel, default_dtype, load_folder, open_checkpoint
from edge.checkpoint.names.hub import hub_table
from edge.config_json import model_config_from_dict
from edge.errors import ConfigError, WeightError
from tests.unit.checkpoint.checkpoints import (
    Json,
    Parameters,
    hub_tensors,
    is_fp8_on_hub,
    parameters_of,
    random_parameters,
    tiny_config_json,
    transformers5_config_json,
    write_config,
    write_fp8_folder,
    write_hub_folder,
    write_index,
    write_mlx_folder,
    write_safetensors,
    write_shards,
)

HEAD = "language_model.lm_head.weight"
MOE = tiny_config_json()


def assert_same(found: Parameters, expected: Parameters) -> None:
    assert found.keys() == expected.keys()
    assert all(mx.array_equal(found[name], expected[name]) for name in expected)


def tiny(raw: Json, *, seed: int = 0) -> Parameters:
    return random_parameters(model_config_from_dict(raw), seed=seed)


def logits_of(loaded: LoadedModel) -> mx.array:
    positions = np.broadcast_to(np.arange(4, dtype=np.int32), (3, 1, 4))
    return loaded.model(mx.array([[5, 80, 33, 2]]), positions=positions)


@pytest.mark.parametrize("raw", [MOE, tiny_config_json(is_moe=False), tiny_config_json(is_moe=False, is_tied=True)])
@pytest.mark.parametrize("num_shards", [1, 3])
def test_both_expert_layouts_and_mlx_load_to_identical_parameters(tmp_path: Path, raw: Json, num_shards: int) -> None:
    """transformers 5 re-saves experts transposed; other loaders take them for the old order."""
    parameters = tiny(raw)
    newer = transformers5_config_json(raw)
    hub = load_folder(write_hub_folder(tmp_path / "hub", raw, parameters, num_shards=num_shards))
    saved_again = load_folder(write_hub_folder(tmp_path / "5", newer, parameters, layout="transformers5"))
    mlx = load_folder(write_mlx_folder(tmp_path / "mlx", raw, parameters))
    assert (hub.layout, saved_again.layout, mlx.layout) == ("hub", "transformers5", "mlx")
    for loaded in (hub, saved_again, mlx):
        assert_same(parameters_of(loaded.model), parameters)
    assert mx.array_equal(logits_of(hub), logits_of(mlx))


@pytest.mark.parametrize("width", [32, 64])  # 2 * 32 = hidden size, 64 = hidden size: one of two tensors says nothing
def test_expert_layouts_are_told_apart_when_one_shape_is_the_same_in_both(tmp_path: Path, width: int) -> None:
    raw = {**MOE, "text_config": {**MOE["text_config"], "moe_intermediate_size": width}}
    parameters = tiny(raw)
    newer = transformers5_config_json(raw)
    hub = load_folder(write_hub_folder(tmp_path / "hub", raw, parameters))
    saved_again = load_folder(write_hub_folder(tmp_path / "5", newer, parameters, layout="transformers5"))
    assert_same(parameters_of(hub.model), parameters)
    assert_same(parameters_of(saved_again.model), parameters)


def test_shapes_settle_the_expert_layout_where_the_version_is_wrong(tmp_path: Path) -> None:
    parameters = tiny(MOE)
    folder = write_hub_folder(tmp_path, transformers5_config_json(MOE), parameters, layout="hub")
    loaded = load_folder(folder)
    assert loaded.layout == "hub"
    assert_same(parameters_of(loaded.model), parameters)


def test_mixed_expert_layouts_are_refused(tmp_path: Path) -> None:
    config, parameters = model_config_from_dict(MOE), tiny(MOE)
    older, newer = (hub_tensors(parameters, hub_table(config, layout)) for layout in ("hub", "transformers5"))
    name = "model.language_model.layers.2.mlp.experts.down_proj"
    write_shards(tmp_path, {**older, name: newer[name]})
    with pytest.raises(WeightError, match=r"layers\.2\.mlp\.experts\.down_proj should have shape \[5, 160, 64\]"):
        load_folder(write_config(tmp_path, MOE))


@pytest.mark.parametrize("raw", [MOE, tiny_config_json(is_moe=False)])
def test_fp8_folders_are_decoded_block_by_block(tmp_path: Path, raw: Json) -> None:
    parameters = tiny(raw)
    folder = write_fp8_folder(tmp_path, raw, parameters, block_shape=(48, 32))
    config, stored = model_config_from_dict(raw), SafetensorsFile(folder / "model.safetensors")
    loaded = parameters_of(load_folder(folder).model)
    for rule in hub_table(config, "hub").rules:
        if is_fp8_on_hub(rule.sources[0]):
            codes = np.array(mx.from_fp8(stored.read(rule.sources[0]), mx.float32))
            scales = np.array(stored.read(f"{rule.sources[0]}_scale_inv"))
            grid = np.repeat(np.repeat(scales, 48, axis=-2), 32, axis=-1)[..., : codes.shape[-2], : codes.shape[-1]]
            decoded = rule.apply([mx.array(codes * grid)])
        else:
            decoded = {target.name: parameters[target.name] for target in rule.targets}
        assert all(mx.array_equal(loaded[name], array) for name, array in decoded.items())


def test_fp8_scales_must_be_there_and_fit_the_block_size(tmp_path: Path) -> None:
    folder = write_fp8_folder(tmp_path, MOE, tiny(MOE), block_shape=(48, 32))
    raw = json.loads((folder / "config.json").read_text())
    write_config(
        folder, {**raw, "quantization_config": {**raw["quantization_config"], "weight_block_size": [128, 128]}}
    )
    with pytest.raises(WeightError, match="_scale_inv should have shape"):
        load_folder(folder)
    raw.pop("quantization_config")
    write_config(folder, raw)
    with pytest.raises(WeightError, match=r"is stored as F8_E4M3, config\.json has no fp8 quantization_config"):
        load_folder(folder)


@pytest.mark.parametrize("layout", ["hub", "mlx", "fp8"])
def test_a_stored_head_wins_over_tied_embeddings(tmp_path: Path, layout: str) -> None:
    raw = tiny_config_json(is_moe=False, is_tied=True)
    untied = {**raw, "tie_word_embeddings": False}
    parameters = tiny(untied)
    write: dict[str, Callable[[], Path]] = {
        "hub": lambda: write_hub_folder(tmp_path, untied, parameters),
        "mlx": lambda: write_mlx_folder(tmp_path, untied, parameters),
        "fp8": lambda: write_fp8_folder(tmp_path, untied, parameters, block_shape=(128, 128)),
    }
    folder = write[layout]()
    config_json = json.loads((folder / "config.json").read_text())
    write_config(folder, {**config_json, "tie_word_embeddings": True})
    loaded = load_folder(folder)
    assert loaded.config.tie_word_embeddings is False
    assert mx.array_equal(parameters_of(loaded.model)[HEAD], parameters[HEAD])


def test_tied_embeddings_need_no_head_and_untied_ones_do(tmp_path: Path) -> None:
    raw = tiny_config_json(is_moe=False, is_tied=True)
    folder = write_hub_folder(tmp_path, raw, tiny(raw))
    assert load_folder(folder).config.tie_word_embeddings is True
    write_config(folder, {**raw, "tie_word_embeddings": False})
    with pytest.raises(WeightError, match=r"expected 1 tensor: lm_head\.weight, not found in the weights"):
        load_folder(folder)


@pytest.mark.parametrize("stored", [mx.float32, mx.bfloat16, mx.float16])
@pytest.mark.parametrize("wanted", [mx.float32, mx.bfloat16, mx.float16])
def test_floats_are_cast_to_the_wanted_dtype(tmp_path: Path, stored: mx.Dtype, wanted: mx.Dtype) -> None:
    parameters = {name: array.astype(stored) for name, array in tiny(MOE).items()}
    loaded = load_folder(write_hub_folder(tmp_path, MOE, parameters), dtype=wanted)
    found = parameters_of(loaded.model)
    assert {array.dtype for array in found.values()} == {wanted}
    assert_same(found, {name: array.astype(wanted) for name, array in parameters.items()})
    text = loaded.config.text
    repeated = text.num_layers * text.head_dim * (text.num_heads + 2 * text.num_kv_heads - 2)  # a row per head
    assert loaded.num_bytes == (sum(array.size for array in parameters.values()) + repeated) * wanted.size


def test_the_default_dtype_follows_the_device() -> None:
    assert default_dtype() == (mx.bfloat16 if mx.default_device().type == mx.gpu else mx.float32)


def test_rotary_frequencies_are_dropped_with_a_reason(tmp_path: Path) -> None:
    tensors = hub_tensors(tiny(MOE), hub_table(model_config_from_dict(MOE), "hub"))
    write_shards(tmp_path, {**tensors, "model.visual.rotary_pos_emb.inv_freq": mx.ones((4,))})
    checkpoint = open_checkpoint(write_config(tmp_path, MOE))
    assert checkpoint.dropped == {"model.visual.rotary_pos_emb.inv_freq": "rotary frequencies are computed, not stored"}


@pytest.mark.parametrize("layout", ["hub", "mlx"])
def test_a_text_model_without_its_vision_part_is_refused_with_the_missing_names(tmp_path: Path, layout: str) -> None:
    """Others load the text model silently."""
    parameters = tiny(MOE)
    tensors = hub_tensors(parameters, hub_table(model_config_from_dict(MOE), "hub")) if layout == "hub" else parameters
    write_shards(tmp_path, {name: a for name, a in tensors.items() if "visual" not in name and "vision" not in name})
    with pytest.raises(WeightError) as failure:
        load_folder(write_config(tmp_path, MOE))
    prefix = {"hub": "model.visual", "mlx": "vision_tower"}[layout]
    # The names in the middle of so long a message are cut.
    for part in ("the vision part is missing, expected", f"{prefix}.", "(2 times)", "Choose a folder"):
        assert part in str(failure.value)
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize("key", ["auto_map", "model_file", "trust_remote_code"])
def test_a_checkpoint_that_names_code_is_refused_and_the_code_never_runs(tmp_path: Path, key: str) -> None:
    """Others import Python files that the checkpoint names (CVE-2026-5843)."""
    folder = write_hub_folder(tmp_path, MOE, tiny(MOE))
    (folder / "evil.py").write_text("raise SystemExit('code of the checkpoint ran')")
    write_config(folder, {**MOE, key: "evil.py"})
    with pytest.raises(ConfigError, match=rf"config\.json: {key} asks to run code from the checkpoint"):
        load_folder(folder)


def test_a_stale_index_does_not_matter_and_a_missing_shard_does(tmp_path: Path) -> None:
    """Published MLX folders carry the index of the hub folder they were made from."""
    parameters = tiny(MOE)
    hub_names = hub_table(model_config_from_dict(MOE), "hub").source_shapes()
    folder = write_mlx_folder(tmp_path, MOE, parameters)
    write_index(folder, dict.fromkeys(hub_names, "model-00001-of-00013.safetensors"))
    assert_same(parameters_of(load_folder(folder).model), parameters)

    write_hub_folder(tmp_path / "hub", MOE, parameters, num_shards=3)
    (tmp_path / "hub" / "model-00002-of-00003.safetensors").unlink()
    message = (
        r"index\.json lists 3 shards, 1 is missing: model-00002-of-00003\.safetensors\. Without it .* Download it ag"
    )
    with pytest.raises(WeightError, match=message):
        load_folder(tmp_path / "hub")


def test_a_truncated_shard_is_named(tmp_path: Path) -> None:
    folder = write_hub_folder(tmp_path, MOE, tiny(MOE), num_shards=3)
    shard = folder / "model-00002-of-00003.safetensors"
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(WeightError, match=r"model-00002-of-00003\.safetensors: truncated, the tensors need"):
        load_folder(folder)


def change_shape(tensors: Parameters) -> None:
    tensors["model.language_model.norm.weight"] = mx.zeros((65,))


def add_tensor(tensors: Parameters) -> None:
    tensors["model.audio.conv.weight"] = mx.zeros((1,))


def remove_tensor(tensors: Parameters) -> None:
    del tensors["model.visual.merger.norm.bias"]


def store_integers(tensors: Parameters) -> None:
    tensors["model.language_model.norm.weight"] = mx.zeros((64,), mx.uint32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            change_shape,
            r"language_model\.norm\.weight should have shape \[64\], found \[65\]\. config\.json and the wei",
        ),
        (add_tensor, r"do not belong to the model in config\.json: 1 tensor: model\.audio\.conv\.weight"),
        (remove_tensor, r"expected 1 tensor: model\.visual\.merger\.norm\.bias, not found"),
        (store_integers, r"norm\.weight should be stored as F32 or F16 or BF16 or F64, found U32"),
    ],
)
def test_a_folder_with_a_wrong_tensor_is_refused(
    tmp_path: Path, change: Callable[[Parameters], None], message: str
) -> None:
    tensors = hub_tensors(tiny(MOE), hub_table(model_config_from_dict(MOE), "hub"))
    change(tensors)
    write_shards(tmp_path, tensors)
    with pytest.raises(WeightError, match=message):
        load_folder(write_config(tmp_path, MOE))


def test_weights_of_another_size_are_refused(tmp_path: Path) -> None:
    dense = tiny_config_json(is_moe=False)
    folder = write_hub_folder(tmp_path, dense, tiny(dense))
    wider = {**dense, "text_config": {**dense["text_config"], "intermediate_size": 256}}
    with pytest.raises(
        WeightError, match=r"gate_proj\.weight should have shape \[256, 64\], found \[224, 64\] \(8 more"
    ):
        load_folder(write_config(folder, wider))


def test_dense_weights_under_a_config_with_experts_are_refused(tmp_path: Path) -> None:
    dense = tiny_config_json(is_moe=False)
    folder = write_hub_folder(tmp_path, dense, tiny(dense))
    message = r"expected 6 tensors: .*mlp\.experts\.gate_up_proj .*; found instead 6 tens"
    with pytest.raises(WeightError, match=message):
        load_folder(write_config(folder, MOE))


def test_tensors_of_another_model_are_refused(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "model.safetensors", {"transformer.h.0.attn.c_attn.weight": mx.zeros((2, 2))})
    with pytest.raises(WeightError, match=r"expected Qwen3-VL tensors .* found 1 tensor: transformer\.h\.0"):
        load_folder(write_config(tmp_path, MOE))


def test_the_config_of_another_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="model_type 'llama' is not supported, only qwen3_vl, qwen3_vl_moe"):
        load_folder(write_config(tmp_path, {"model_type": "llama"}))


def test_a_folder_without_config_says_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected config\.json in the model folder, found nothing"):
        load_folder(tmp_path)
    (tmp_path / "weights.gguf").touch()
    with pytest.raises(ConfigError, match=r"expected config\.json in the model folder, found weights\.gguf"):
        load_folder(tmp_path)


def test_a_file_or_nothing_in_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="expected a model folder, found a file"):
        load_folder(tmp_path / "file")
    with pytest.raises(ConfigError, match="no such folder"):
        load_folder(tmp_path / "gone")
