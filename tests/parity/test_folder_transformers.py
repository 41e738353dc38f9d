"""Folders against transformers: what it saves loads here, what we write loads there, FP8 decodes alike."""

from __future__ import annotations

import json
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import Qwen3VLForConditionalGeneration, Qwen3VLMoeForConditionalGeneration
from transformers.integrations.finegrained_fp8 import Fp8Dequantize

from edge.checkpoint.build import build_model
from edge.checkpoint.folder import load_folder
from edge.checkpoint.names.hub import FP8_SCALE_SUFFIX, hub_table
from edge.checkpoint.names.ops import Fp8Blocks
from edge.config_json import model_config_from_file
from edge.model.qwen3vl import Qwen3VL
from tests.parity.cases import Picture, forward, make_case, reference_logits
from tests.parity.reference import KINDS, Kind, TorchModel, reference_model, relative_error, save_as_hub
from tests.unit.checkpoint.checkpoints import fp8_config_json, is_fp8_on_hub, parameters_of, write_hub_folder

CASE = make_case(3, Picture((1, 4, 6), seed=1), 4)


def assert_same_parameters(found: Qwen3VL, expected: Qwen3VL) -> None:
    ours, theirs = parameters_of(found), parameters_of(expected)
    assert ours.keys() == theirs.keys()
    assert all(mx.array_equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_tied", [False, True])
@pytest.mark.parametrize("max_shard_size", ["50GB", "40KB"])
def test_what_transformers_5_saves_loads_to_the_same_parameters(
    tmp_path: Path, kind: Kind, is_tied: bool, max_shard_size: str
) -> None:
    """It saves experts as [E, 2I, H] and [E, H, I], other than the hub."""
    model = reference_model(kind, is_tied=is_tied)
    model.save_pretrained(tmp_path / "5", max_shard_size=max_shard_size)
    saved = load_folder(tmp_path / "5", dtype=mx.float32)
    hub = load_folder(save_as_hub(model, tmp_path / "hub"), dtype=mx.float32)
    assert (saved.layout, hub.layout, saved.config.tie_word_embeddings) == ("transformers5", "hub", is_tied)
    assert_same_parameters(saved.model, hub.model)
    assert relative_error(forward(saved.model, CASE), reference_logits(model, CASE)) <= 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_a_hub_folder_written_from_our_parameters_gives_the_same_logits_in_transformers(
    tmp_path: Path, kind: Kind
) -> None:
    model = reference_model(kind)
    hub = save_as_hub(model, tmp_path / "hub")
    raw = json.loads((hub / "config.json").read_text())
    ours = write_hub_folder(tmp_path / "ours", raw, parameters_of(load_folder(hub, dtype=mx.float32).model))
    model_class: TorchModel = {
        "moe": Qwen3VLMoeForConditionalGeneration,
        "dense": Qwen3VLForConditionalGeneration,
    }[kind]
    again = model_class.from_pretrained(ours, dtype=torch.float32).eval()
    assert torch.equal(reference_logits(again, CASE), reference_logits(model, CASE))


@pytest.mark.parametrize("shape", [(256, 384), (3, 256, 128)])
def test_fp8_blocks_decode_to_the_numbers_of_transformers(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(3)
    codes = torch.randint(0, 0x7F, shape, generator=generator, dtype=torch.uint8)
    scales = torch.rand((*shape[:-2], shape[-2] // 128, shape[-1] // 128), generator=generator)
    reference: TorchModel = Fp8Dequantize
    expected = reference(None)._dequantize_one(codes.view(torch.float8_e4m3fn), scales, torch.float32)
    (found,) = Fp8Blocks((128, 128)).apply((mx.array(codes.numpy()), mx.array(scales.numpy())))
    assert np.array_equal(np.array(found), expected.numpy())


@pytest.mark.parametrize("kind", KINDS)
def test_an_fp8_folder_gives_the_logits_of_its_decoded_weights(tmp_path: Path, kind: Kind) -> None:
    """The folder is written with torch's own FP8 type; sizes here are smaller than a block of 128."""
    model = reference_model(kind)
    folder = save_as_hub(model, tmp_path)
    raw = json.loads((folder / "config.json").read_text())
    plain = load_folder(folder, dtype=mx.float32).model
    config = model_config_from_file(folder / "config.json")
    tensors, decoded = {}, {}
    parameters = parameters_of(plain)
    for rule in hub_table(config, "hub").rules:
        name = rule.sources[0]
        array = torch.from_numpy(np.array(rule.inverse([parameters[target.name] for target in rule.targets])[name]))
        if is_fp8_on_hub(name):
            scale = array.abs().amax(dim=(-1, -2), keepdim=True) / 448
            codes = (array / scale).to(torch.float8_e4m3fn)
            tensors[name + FP8_SCALE_SUFFIX] = scale
            tensors[name], array = codes.contiguous(), codes.float() * scale
        decoded.update(rule.apply([mx.array(array.numpy())]))
        tensors.setdefault(name, array.contiguous())
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({**raw, "quantization_config": fp8_config_json((128, 128))}))
    loaded = load_folder(folder, dtype=mx.float32)
    assert loaded.config.fp8 is not None
    assert_same_parameters(loaded.model, build_model(config, {}, decoded.items()))
    difference = relative_error(forward(loaded.model, CASE), reference_logits(model, CASE))
    assert 1e-4 < difference < 1  # it is the rounded model, not the exact one and not noise
