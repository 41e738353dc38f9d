"""The output's config.json: read back as the same model, in the hub's spelling, with MLX's quantization block."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from convert.mlx.config_out import make_config
from convert.mlx.run import make_plan
from edge.config_json import model_config_from_dict
from edge.plan.recipes import FORMATS
from tests.shared_facts import FACTS, needs_facts
from tests.unit.checkpoint.checkpoints import Json, tiny_config_json, transformers5_config_json
from tests.unit.convert.mlx.conversion import group_config_json, settings_of

LAYER = "language_model.model.layers"


def make(raw: Json, recipe: str = "4bit", **overrides: str) -> Json:
    config = model_config_from_dict(raw)
    patterns = {name.replace("__", "."): value for name, value in overrides.items()}
    settings = settings_of(recipe, overrides=patterns)
    plan = make_plan(config, settings)
    return make_config(config, raw, base=settings.base, choices=plan.layout.choices)


YARN = {
    "rope_type": "yarn",
    "mrope_section": [4, 2, 2],
    "mrope_interleaved": True,
    "factor": 3.0,
    "original_max_position_embeddings": 128,
}


@pytest.mark.parametrize("is_moe", [True, False])
@pytest.mark.parametrize("is_tied", [True, False])
def test_the_written_config_describes_the_same_model(is_moe: bool, is_tied: bool) -> None:
    raw = tiny_config_json(is_moe=is_moe, is_tied=is_tied)
    written = model_config_from_dict(make(raw, "bf16"))
    assert written == model_config_from_dict(raw)


def test_an_extended_context_survives() -> None:
    raw = tiny_config_json()
    raw["text_config"]["rope_scaling"] = YARN
    assert model_config_from_dict(make(raw, "bf16")).text.rope == model_config_from_dict(raw).text.rope


def test_both_spellings_give_one_config() -> None:
    raw = tiny_config_json()
    assert make(raw) == make(transformers5_config_json(raw))


def test_only_what_differs_from_the_default_has_an_entry() -> None:
    block = make(group_config_json(), "4bit")["quantization"]
    gate = {"group_size": 64, "bits": 8, "mode": "affine"}
    assert block == {
        "group_size": 64,
        "bits": 4,
        "mode": "affine",
        f"{LAYER}.0.mlp.gate": gate,
        f"{LAYER}.2.mlp.gate": gate,
    }


def test_a_decoder_matrix_kept_in_bf16_is_marked_and_the_vision_tower_is_not() -> None:
    written = make(group_config_json(), "4bit", layers__0__self_attn__q_proj="bf16")
    assert written["quantization"][f"{LAYER}.0.self_attn.q_proj"] is False
    assert not any("vision" in name for name in written["quantization"])
    assert written["quantization_config"] == written["quantization"]


def test_a_packed_vision_tower_has_entries() -> None:
    block = make(group_config_json(), "4bit", vision_tower__merger="8bit")["quantization"]
    assert block["vision_tower.merger.linear_fc2"] == {"group_size": 64, "bits": 8, "mode": "affine"}


def test_a_bf16_base_with_one_packed_part_reads_back() -> None:
    written = model_config_from_dict(make(group_config_json(), "bf16", lm_head="8bit"))
    assert written.quantization is not None
    assert written.quantization.of("language_model.lm_head") == FORMATS["8bit"]
    assert written.quantization.of(f"{LAYER}.0.self_attn.q_proj") is None


@needs_facts
@pytest.mark.parametrize("name", ["hub_30b_thinking/config.json", "hub_dense/config_4B.json", "hub_235b/config.json"])
def test_published_configs_keep_all_that_decides_the_model(name: str) -> None:
    raw = json.loads(Path(FACTS / "raw" / name).read_text())
    written = make(raw, "bf16")
    ignored = {"attention_dropout", "initializer_range", "use_cache"}
    for section in ("text_config", "vision_config"):
        kept = {key: value for key, value in raw[section].items() if key not in ignored}
        assert kept.items() <= written[section].items()
    top = {key: value for key, value in raw.items() if not key.endswith("_config")}
    assert top.items() <= written.items()


@needs_facts
def test_the_quantization_block_is_that_of_mlx_community() -> None:
    raw = json.loads((FACTS / "raw" / "hub_30b_thinking" / "config.json").read_text())
    published = json.loads((FACTS / "raw" / "mlx_config_30B_4bit.json").read_text())
    assert make(raw, "4bit", mlp__gate="4bit")["quantization"] == published["quantization"]
    ours, theirs = model_config_from_dict(make(raw, "4bit", mlp__gate="4bit")), model_config_from_dict(published)
    assert replace(ours, transformers_version=None, eos_token_ids=()) == replace(
        theirs, transformers_version=None, eos_token_ids=()
    )
