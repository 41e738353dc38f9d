"""config.json in every spelling, and the refusal of what the runtime does not do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge.config import Fp8Config, LayerQuantization, ModelConfig, QuantizationConfig, RopeConfig
from edge.config_json import model_config_from_dict, model_config_from_file, read_json_object
from edge.errors import ConfigError
from tests.shared_facts import FACTS, needs_facts
from tests.unit.checkpoint.checkpoints import Json, tiny_config_json, transformers5_config_json

RAW = FACTS / "raw"
MOE = tiny_config_json()
SECTION = [4, 2, 2]


def changed(raw: Json, path: str, value: Any) -> Json:  # Any: JSON
    """Return a deep copy with one value replaced; `path` such as `text_config.rope_scaling.factor`."""
    copy: Json = json.loads(json.dumps(raw))
    *parents, key = path.split(".")
    place = copy
    for parent in parents:
        place = place[parent]
    place[key] = value
    return copy


def without(raw: Json, path: str) -> Json:
    copy: Json = json.loads(json.dumps(raw))
    *parents, key = path.split(".")
    place = copy
    for parent in parents:
        place = place[parent]
    del place[key]
    return copy


@needs_facts
@pytest.mark.parametrize(
    ("file_name", "layers", "hidden", "experts", "is_tied", "depth", "levels"),
    [
        ("hub_dense/config_2B.json", 28, 2048, None, True, 24, (5, 11, 17)),
        ("hub_dense/config_4B.json", 36, 2560, None, True, 24, (5, 11, 17)),
        ("hub_dense/config_8B.json", 36, 4096, None, False, 27, (8, 16, 24)),
        ("hub_dense/config_32B.json", 64, 5120, None, False, 27, (8, 16, 24)),
        ("hub_30b_thinking/config.json", 48, 2048, 128, False, 27, (8, 16, 24)),
        ("hub_235b/config.json", 94, 4096, 128, False, 27, (8, 16, 24)),
        ("mlx_config_4B_4bit.json", 36, 2560, None, True, 24, (5, 11, 17)),
        ("mlx_config_30B_8bit.json", 48, 2048, 128, False, 27, (8, 16, 24)),
    ],
)
def test_published_configs_are_read(
    file_name: str,
    layers: int,
    hidden: int,
    experts: int | None,
    is_tied: bool,
    depth: int,
    levels: tuple[int, ...],
) -> None:
    config = model_config_from_file(RAW / file_name)
    assert (config.text.num_layers, config.text.hidden_size) == (layers, hidden)
    assert (config.text.moe.num_experts if config.text.moe else None) == experts
    assert config.tie_word_embeddings is is_tied
    assert (config.vision.depth, config.vision.deepstack_indexes) == (depth, levels)
    assert config.text.rope == RopeConfig(theta=5_000_000.0, mrope_section=(24, 20, 20))
    assert (config.image_token_id, config.video_token_id) == (151655, 151656)
    assert config.eos_token_ids == (151645,)


@needs_facts
@pytest.mark.parametrize(("file_name", "bits"), [("4B_4bit", 4), ("4B_8bit", 8), ("30B_4bit", 4), ("30B_8bit", 8)])
def test_mlx_community_configs_name_their_packing(file_name: str, bits: int) -> None:
    config = model_config_from_file(RAW / f"mlx_config_{file_name}.json")
    assert config.quantization == QuantizationConfig(LayerQuantization(group_size=64, bits=bits, mode="affine"))
    assert config.fp8 is None


@needs_facts
def test_the_fp8_config_names_its_block_and_is_otherwise_the_same() -> None:
    fp8 = model_config_from_file(RAW / "hub_30b_thinking" / "config_fp8.json")
    plain = model_config_from_file(RAW / "hub_30b_thinking" / "config.json")
    assert (fp8.fp8, fp8.quantization) == (Fp8Config((128, 128)), None)
    assert fp8.text == plain.text


def everything_but_version(config: ModelConfig) -> tuple[object, ...]:
    return config.text, config.vision, config.tie_word_embeddings, config.image_token_id, config.eos_token_ids


@pytest.mark.parametrize("is_moe", [True, False])
def test_both_spellings_mean_the_same(is_moe: bool) -> None:
    raw = tiny_config_json(is_moe=is_moe)
    older, newer = model_config_from_dict(raw), model_config_from_dict(transformers5_config_json(raw))
    assert everything_but_version(older) == everything_but_version(newer)
    assert (older.transformers_version, newer.transformers_version) == ("4.57.0.dev0", "5.23.0")


@pytest.mark.parametrize(
    ("top", "text", "expected"),
    [(False, True, False), (True, False, True), (None, True, True), (None, None, False), (True, None, True)],
)
def test_the_top_level_decides_whether_embeddings_are_tied(top: bool | None, text: bool | None, expected: bool) -> None:
    raw = changed(changed(MOE, "tie_word_embeddings", top), "text_config.tie_word_embeddings", text)
    assert model_config_from_dict(raw).tie_word_embeddings is expected


def test_yarn_for_a_million_tokens_is_read_as_the_readme_writes_it() -> None:
    rope = {
        "rope_type": "yarn",
        "mrope_section": SECTION,
        "mrope_interleaved": True,
        "factor": 3.0,
        "original_max_position_embeddings": 262144,
    }
    raw = changed(changed(MOE, "text_config.rope_scaling", rope), "text_config.max_position_embeddings", 1_000_000)
    text = model_config_from_dict(raw).text
    assert text.max_position_embeddings == 1_000_000
    assert text.rope == RopeConfig(
        theta=70.0,
        mrope_section=(4, 2, 2),
        rope_type="yarn",
        factor=3.0,
        original_max_position_embeddings=262144,
    )
    newer = transformers5_config_json(raw)
    assert model_config_from_dict(newer).text.rope == text.rope


def test_packing_per_layer_is_read_as_mlx_means_it() -> None:
    quantization = {
        "group_size": 32,
        "bits": 4,
        "mode": "mxfp4",
        "a": {"group_size": 64, "bits": 8},
        "b": {"mode": "nvfp4"},
        "c": {"bits": 6},
        "d": False,
        "e": True,
    }
    read = model_config_from_dict({**MOE, "quantization": quantization}).quantization
    assert read is not None
    assert [read.of(name) for name in "abcdef"] == [
        LayerQuantization(64, 8, "affine"),  # without a mode: affine, not the folder's mode
        LayerQuantization(16, 4, "nvfp4"),
        LayerQuantization(64, 6, "affine"),
        None,
        LayerQuantization(32, 4, "mxfp4"),
        LayerQuantization(32, 4, "mxfp4"),
    ]


def test_a_config_without_mode_is_affine_and_the_newer_key_is_read_alone() -> None:
    read = model_config_from_dict({**MOE, "quantization_config": {"group_size": 64, "bits": 4}}).quantization
    assert read == QuantizationConfig(LayerQuantization(64, 4, "affine"))


@pytest.mark.parametrize(("ids", "expected"), [(7, (7,)), ([7, 8], (7, 8)), (None, (3,)), (0, (0,))])
def test_end_tokens_come_from_the_top_level_first(ids: Any, expected: tuple[int, ...]) -> None:
    raw = changed(changed(MOE, "eos_token_id", ids), "text_config.eos_token_id", 3)
    assert model_config_from_dict(raw).eos_token_ids == expected


def test_sparse_layers_are_those_the_config_names() -> None:
    text = model_config_from_dict(MOE).text
    assert [text.is_sparse_layer(index) for index in range(3)] == [True, False, True]
    every_second = model_config_from_dict(changed(MOE, "text_config.decoder_sparse_step", 2)).text
    assert [every_second.is_sparse_layer(index) for index in range(3)] == [False, False, False]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("model_type", "qwen2_5_vl", "model_type 'qwen2_5_vl' is not supported, only qwen3_vl, qwen3_vl_moe"),
        ("text_config.hidden_act", "gelu", "text_config: hidden_act 'gelu' is not supported, only silu"),
        ("text_config.attention_bias", True, "attention_bias True is not supported"),
        ("text_config.norm_topk_prob", False, "norm_topk_prob False is not supported, only True"),
        ("text_config.rope_scaling.rope_type", "longrope", "rope_scaling: rope_type 'longrope' is not supported"),
        ("text_config.rope_scaling.mrope_interleaved", 0, "mrope_interleaved should be true or false"),
        ("text_config.rope_scaling.mrope_section", [4, 4], "mrope_section should be three numbers with sum 8"),
        ("text_config.rope_scaling.mrope_section", "4,2,2", "mrope_section should be a list of whole numbers"),
        ("text_config.rope_scaling", [1], "rope_scaling should be an object, found"),
        ("text_config.rope_theta", 10**400, "rope_theta should be a positive number, found 1000"),
        ("text_config.partial_rotary_factor", 0.5, "partial_rotary_factor 0.5 is not supported"),
        ("vision_config.rope_theta", 5000, "rope_theta should be 10000"),
        ("text_config.rope_theta", float("nan"), "rope_theta should be a positive number, found nan"),
        ("text_config.rms_norm_eps", "1e-6", "rms_norm_eps should be a positive number, found '1e-6'"),
        ("text_config.hidden_size", 64.5, "hidden_size should be a whole number from 1"),
        ("text_config.hidden_size", True, "hidden_size should be a whole number from 1"),
        ("text_config.num_hidden_layers", 10**9, "num_hidden_layers should be a whole number from 1 to 4096"),
        ("text_config.num_key_value_heads", 4, "num_attention_heads 6 should be a multiple of num_key_value_heads 4"),
        ("text_config.num_experts_per_tok", 6, "num_experts_per_tok 6 exceeds num_experts 5"),
        ("text_config.decoder_sparse_step", 0, "decoder_sparse_step should be a whole number of at least 1"),
        ("text_config", [], "text_config should be an object"),
        ("vision_config.hidden_act", "gelu", "vision_config: hidden_act 'gelu' is not supported"),
        ("vision_config.num_position_embeddings", 24, "num_position_embeddings should be a square number, found 24"),
        ("vision_config.num_heads", 5, r"hidden_size should be 5 heads of a multiple of 4"),
        ("vision_config.deepstack_visual_indexes", [0, 3], "increasing layer numbers below depth 3, found"),
        ("vision_config.deepstack_visual_indexes", [2, 0], "increasing layer numbers below depth 3, found"),
        ("vision_config.out_hidden_size", 32, "out_hidden_size should be the decoder's hidden_size 64, found 32"),
        ("vision_config.patch_size", [16, 16], "patch_size should be a whole number"),
        ("tie_word_embeddings", "false", "tie_word_embeddings should be true or false, found 'false'"),
        ("eos_token_id", "<|im_end|>", "eos_token_id should be a token id or a list of them"),
        ("image_token_id", -1, "image_token_id should be a whole number of at least 0"),
        ("quantization", {"bits": 4, "group_size": 48}, "group_size 48 is not supported in mode affine, only 32, 64"),
        ("quantization", {"bits": 7, "group_size": 64}, "bits 7 is not supported in mode affine, only 2, 3, 4, 5, 6"),
        ("quantization", {"mode": "mxfp4", "bits": 8}, "bits 8 is not supported in mode mxfp4, only 4"),
        ("quantization", {"mode": "int4"}, "mode 'int4' is not supported, only affine, mxfp4, mxfp8, nvfp4"),
        ("quantization", {"bits": 4, "x": {"bits": 9}}, "quantization x: bits 9 is not supported"),
        ("quantization", [4], "quantization should be an object"),
        ("quantization_config", {"quant_method": "awq"}, "quant_method 'awq' is not supported, only fp8"),
        ("quantization_config", {"quant_method": "fp8", "fmt": "e5m2"}, "fmt 'e5m2' is not supported, only e4m3"),
        ("quantization_config", {"quant_method": "fp8"}, "weight_block_size is missing"),
        (
            "quantization_config",
            {"quant_method": "fp8", "weight_block_size": [128]},
            r"weight_block_size should be two positive numbers, found \[128\]",
        ),
        ("auto_map", {"AutoModel": "x.Y"}, "auto_map asks to run code from the checkpoint"),
        ("model_file", "model.py", "model_file asks to run code from the checkpoint"),
        ("text_config.auto_map", {"AutoConfig": "x.Y"}, "auto_map asks to run code from the checkpoint"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(path: str, value: Any, message: str) -> None:
    raw = changed(MOE, path, value)
    with pytest.raises(ConfigError, match=message) as failure:
        model_config_from_dict(raw, where="folder/config.json")
    text = str(failure.value)
    assert text.startswith("folder/config.json")
    assert "\n" not in text
    assert text.endswith(".")


@pytest.mark.parametrize(
    "path",
    [
        "model_type",
        "text_config.hidden_size",
        "text_config.rms_norm_eps",
        "text_config.num_experts",
        "text_config.moe_intermediate_size",
        "vision_config.depth",
        "vision_config.deepstack_visual_indexes",
    ],
)
def test_a_missing_key_is_named(path: str) -> None:
    with pytest.raises(ConfigError, match=rf"{path.split('.')[-1]}.* is missing"):
        model_config_from_dict(without(MOE, path))


def test_code_keys_are_found_at_any_depth() -> None:
    deep: Json = {"auto_map": {"AutoModel": "x.Y"}}
    for _ in range(5000):
        deep = {"nested": deep}
    with pytest.raises(ConfigError, match="auto_map asks to run code"):
        model_config_from_dict({**MOE, "extra": deep})


def test_yarn_without_a_factor_is_refused() -> None:
    rope = {"rope_type": "yarn", "mrope_section": SECTION, "original_max_position_embeddings": 262144}
    with pytest.raises(ConfigError, match="factor is missing"):
        model_config_from_dict(changed(MOE, "text_config.rope_scaling", rope))


def test_a_text_model_config_is_refused_for_its_missing_parts() -> None:
    with pytest.raises(ConfigError, match="expected text_config and vision_config"):
        model_config_from_dict({"model_type": "qwen3_vl", "hidden_size": 64})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "not a readable JSON file"),
        (b"\xff\xfe", "not a readable JSON file"),
        (b"[1]", "expected a JSON object, found list"),
        (b"[" * 200_000, "not a readable JSON file"),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_json_object(path)
    with pytest.raises(ConfigError, match=r"gone\.json: file not found"):
        read_json_object(tmp_path / "gone.json")
