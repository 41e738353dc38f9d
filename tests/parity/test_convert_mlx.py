"""Converted folders against transformers: the same weights, unpacked, give the same logits there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch
from transformers import Qwen3VLMoeForConditionalGeneration

from edge.checkpoint.folder import load_folder, open_checkpoint, read_parameters
from tests.parity.cases import Picture, forward, make_case, reference_logits
from tests.parity.reference import KINDS, Kind, TorchModel, reference_model, relative_error, save_as_hub
from tests.unit.checkpoint.checkpoints import write_hub_folder
from tests.unit.convert.mlx.conversion import convert, files_of, group_config_json, settings_of, write_source

CASE = make_case(3, Picture((1, 4, 6), seed=1), 4)
TOKENS = np.array([[5, 17, 80, 3, 44, 8, 71, 12, 13]], dtype=np.int32)


@pytest.mark.parametrize("kind", KINDS)
def test_folders_saved_by_transformers_5_and_the_hub_convert_to_identical_files(tmp_path: Path, kind: Kind) -> None:
    """transformers 5 saves experts transposed; a converter that misses it exports another model."""
    model = reference_model(kind)
    model.save_pretrained(tmp_path / "new", max_shard_size="40KB")
    save_as_hub(model, tmp_path / "hub")
    for name in ("new", "hub"):
        convert(tmp_path / name, tmp_path / f"{name}_out", settings_of("bf16"))
    but = ("README.md", "generation_config.json")  # the card names the source; the other is copied where there is one
    assert files_of(tmp_path / "new_out", but=but) == files_of(tmp_path / "hub_out", but=but)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bf16_folder_gives_the_logits_of_the_rounded_weights(tmp_path: Path, kind: Kind) -> None:
    model: TorchModel = reference_model(kind)
    convert(save_as_hub(model, tmp_path / "hub"), tmp_path / "out", settings_of("bf16"))
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    try:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(parameter.to(torch.bfloat16).to(torch.float32))
        expected = reference_logits(model, CASE)
    finally:
        model.load_state_dict(kept)  # the model is shared
    found = forward(load_folder(tmp_path / "out", dtype=mx.float32).model, CASE)
    assert relative_error(found, expected) <= 1e-5


@pytest.mark.parametrize("recipe", ["8bit", "4bit", "3bit-mixed", "3bit-experts", "mxfp8", "mxfp4", "nvfp4"])
def test_packed_weights_give_the_logits_of_their_unpacked_values(tmp_path: Path, recipe: str) -> None:
    raw = group_config_json() | {"architectures": ["Qwen3VLMoeForConditionalGeneration"]}
    source = write_source(tmp_path / "source", raw)
    convert(source, tmp_path / "out", settings_of(recipe))
    write_hub_folder(tmp_path / "unpacked", raw, unpacked(tmp_path / "out"))
    reference: Any = Qwen3VLMoeForConditionalGeneration  # Any: torch without annotations
    model = reference.from_pretrained(tmp_path / "unpacked", dtype=torch.float32).eval()
    with torch.no_grad():
        expected = model(input_ids=torch.from_numpy(TOKENS.astype(np.int64))).logits.numpy()
    positions = np.broadcast_to(np.arange(TOKENS.shape[1], dtype=np.int32), (3, *TOKENS.shape))
    ours = load_folder(tmp_path / "out", dtype=mx.float32).model
    found = np.array(ours(mx.array(TOKENS), positions=positions))
    assert relative_error(found, expected) <= 1e-5
    mutant = load_folder(source, dtype=mx.float32).model  # the weights before packing must not pass
    assert relative_error(np.array(mutant(mx.array(TOKENS), positions=positions)), expected) > 1e-3


def unpacked(folder: Path) -> dict[str, mx.array]:
    """Dequantize every packed parameter, float32."""
    checkpoint = open_checkpoint(folder)
    stored = dict(read_parameters(checkpoint, dtype=mx.float32))
    expected = {name for name in stored if not name.endswith((".scales", ".biases"))}
    result = {}
    for name in expected:
        module = name.removesuffix(".weight")
        setting = checkpoint.quantized.get(module)
        if setting is None:
            result[name] = stored[name]
            continue
        result[name] = mx.dequantize(
            stored[name],
            stored[f"{module}.scales"],
            stored.get(f"{module}.biases"),
            group_size=setting.group_size,
            bits=setting.bits,
            mode=setting.mode,
            dtype=mx.float32,
        )
    return result
