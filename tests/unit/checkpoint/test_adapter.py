"""Adapters: found, merged while reading, or refused with the reason; equality with peft is a parity test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from edge.checkpoint import door
from edge.checkpoint.folder import load_folder, open_checkpoint, read_parameters
from edge.config_json import model_config_from_dict
from edge.errors import ConfigError, EdgeError, WeightError
from tests.unit.checkpoint.adapters import pair_of, write_adapter
from tests.unit.checkpoint.checkpoints import (
    random_parameters,
    tiny_config_json,
    write_fp8_folder,
    write_hub_folder,
    write_mlx_folder,
)

RAW = tiny_config_json(is_moe=False)
CONFIG = model_config_from_dict(RAW)
MODULE = "model.language_model.layers.0.self_attn.q_proj"
OURS = "language_model.model.layers.0.self_attn.q_proj.weight"
OUTPUTS, INPUTS = CONFIG.text.num_heads * CONFIG.text.head_dim, CONFIG.text.hidden_size
PAIR = pair_of(MODULE, outputs=OUTPUTS, inputs=INPUTS)


def base(folder: Path, layout: str = "hub") -> Path:
    parameters = random_parameters(CONFIG)
    if layout == "mlx":
        return write_mlx_folder(folder, RAW, parameters)
    if layout == "fp8":
        return write_fp8_folder(folder, RAW, parameters, block_shape=(16, 24))
    return write_hub_folder(folder, RAW, parameters)


def weight(folder: Path, adapter: Path | None = None) -> mx.array:
    parameters = dict(read_parameters(open_checkpoint(folder, adapter=adapter), dtype=mx.float32))
    return parameters[OURS]


@pytest.mark.parametrize("layout", ["hub", "mlx", "fp8"])
def test_an_adapter_is_merged_in_every_layout_that_holds_floats(tmp_path: Path, layout: str) -> None:
    folder, adapter = base(tmp_path / "base", layout), write_adapter(tmp_path / "adapter", PAIR)
    change = np.array(weight(folder, adapter)) - np.array(weight(folder))
    np.testing.assert_allclose(change, 2 * 4 / 2, atol=1e-6)  # two ones, alpha over rank


def test_an_adapter_in_the_models_folder_counts_and_is_no_shard(tmp_path: Path) -> None:
    folder = base(tmp_path)
    plain = np.array(weight(folder))
    (folder / "model.safetensors.index.json").unlink(missing_ok=True)  # then every shard on disk counts
    write_adapter(folder, PAIR)
    np.testing.assert_allclose(np.array(weight(folder)) - plain, 4, atol=1e-6)
    assert {path.name for path in open_checkpoint(folder).files} >= {"adapter_config.json", "adapter_model.safetensors"}
    assert load_folder(folder, dtype=mx.float32).layout == "hub"


def test_a_folder_with_only_an_adapter_stands_for_its_base(tmp_path: Path) -> None:
    folder = base(tmp_path / "base")
    adapter = write_adapter(tmp_path / "adapter", PAIR, base_model_name_or_path=str(folder))
    opened = door.open(adapter, dtype=mx.float32)
    assert (opened.path, opened.config) == (folder, open_checkpoint(folder).config)
    assert opened.identity != door.open(folder, dtype=mx.float32).identity
    nameless = write_adapter(tmp_path / "other", PAIR)
    with pytest.raises(ConfigError, match="does not name its base model"):
        door.open(nameless)


def test_two_adapters_are_refused(tmp_path: Path) -> None:
    folder = write_adapter(base(tmp_path / "base"), PAIR)
    with pytest.raises(ConfigError, match="one is applied at a time"):
        open_checkpoint(folder, adapter=write_adapter(tmp_path / "adapter", PAIR))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"peft_type": "IA3"}, "peft_type 'IA3' is not supported, only LORA"),
        ({"use_dora": True}, "use_dora True is not supported, only plain LoRA"),
        ({"lora_bias": True}, "lora_bias True is not supported"),
        ({"trainable_token_indices": [1]}, "trainable_token_indices .* is not supported"),
        ({"something_new": 1}, "something_new 1 is not supported"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights 'pissa' changes the base weights"),
        ({"init_lora_weights": ["pissa"]}, "changes the base weights"),
        ({"r": 0}, "r should be a whole number from 1"),
        ({"lora_alpha": "16"}, "lora_alpha should be a positive number"),
        ({"rank_pattern": {"(a+)+$": 2}}, "should be named by a module's name or its end"),
        ({"r": 3}, r"shapes \[2, 64\] and \[.*, 2\], expected \[3, 64\]"),
    ],
)
def test_what_cannot_be_merged_is_refused_by_name(tmp_path: Path, config: dict[str, Any], message: str) -> None:
    folder, adapter = base(tmp_path / "base"), write_adapter(tmp_path / "adapter", PAIR, **config)
    with pytest.raises(EdgeError, match=message):
        open_checkpoint(folder, adapter=adapter)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, "holds no tensors"),
        ({f"{MODULE}.lora_A.weight": PAIR[f"{MODULE}.lora_A.weight"]}, "has only one of its two matrices"),
        (pair_of("model.language_model.layers.99.mlp.up_proj", outputs=4, inputs=4), "no such module"),
        ({**PAIR, f"{MODULE}.lora_magnitude_vector": np.ones(4, np.float32)}, "has no place in this model"),
        ({**PAIR, "model.language_model.norm.weight": np.ones(3, np.float32)}, "has no place in this model"),
        (pair_of("model.language_model.layers.0.mlp.experts", outputs=4, inputs=4), "no part of this model"),
    ],
)
def test_tensors_without_a_place_are_refused(tmp_path: Path, tensors: Any, message: str) -> None:  # Any: arrays
    folder, adapter = base(tmp_path / "base"), write_adapter(tmp_path / "adapter", tensors)
    with pytest.raises(WeightError, match=message):
        open_checkpoint(folder, adapter=adapter)


def test_a_number_that_is_none_is_refused_when_it_is_read(tmp_path: Path) -> None:
    spoiled = {name: np.full_like(array, np.nan) for name, array in PAIR.items()}
    folder, adapter = base(tmp_path / "base"), write_adapter(tmp_path / "adapter", spoiled)
    with pytest.raises(WeightError, match="infinite or no number"):
        weight(folder, adapter)


def test_pickled_adapters_are_not_read(tmp_path: Path) -> None:
    folder, adapter = base(tmp_path / "base"), write_adapter(tmp_path / "adapter", PAIR)
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(WeightError, match=r"adapter_model\.bin; pickle files can run code"):
        open_checkpoint(folder, adapter=adapter)


def test_tied_tables_and_packed_weights_are_refused(tmp_path: Path) -> None:
    raw = {**RAW, "tie_word_embeddings": True}
    parameters = random_parameters(model_config_from_dict(raw))
    folder = write_hub_folder(tmp_path / "tied", raw, parameters)
    head = pair_of("lm_head", outputs=CONFIG.text.vocab_size, inputs=INPUTS)
    with pytest.raises(WeightError, match="no such module"):  # a tied model has no head of its own
        open_checkpoint(folder, adapter=write_adapter(tmp_path / "head", head))
    table = {
        "model.language_model.embed_tokens.lora_embedding_A": np.ones((2, CONFIG.text.vocab_size), np.float32),
        "model.language_model.embed_tokens.lora_embedding_B": np.ones((INPUTS, 2), np.float32),
    }
    with pytest.raises(WeightError, match="uses twice"):
        open_checkpoint(folder, adapter=write_adapter(tmp_path / "table", table))
