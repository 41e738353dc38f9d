"""Merged weights equal those of peft, for every kind of module it adapts; what is not merged is seen."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from convert.pieces import cut_checkpoint, read_piece
from edge.checkpoint.folder import load_checkpoint, load_folder, open_checkpoint
from edge.checkpoint.names.merge import Merge
from tests.figures import note_figure
from tests.parity.reference import KINDS, Kind, TorchModel, reference_model, save_as_hub
from tests.unit.checkpoint.checkpoints import parameters_of

# peft asks transformers by older names, and says what it thinks of some settings.
pytestmark = [pytest.mark.filterwarnings("ignore::FutureWarning"), pytest.mark.filterwarnings("ignore::UserWarning")]

EXPERTS = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]
CASES: dict[str, dict[str, Any]] = {  # Any: keyword arguments of a class with many
    "attention": {"target_modules": ["q_proj", "v_proj", "o_proj"]},
    "rslora": {"target_modules": ["k_proj"], "use_rslora": True, "r": 5},
    "patterns": {
        "target_modules": ["q_proj", "k_proj"],
        "rank_pattern": {"layers.0.self_attn.q_proj": 2, "^model.language_model.layers.2.self_attn.k_proj": 6},
        "alpha_pattern": {"k_proj": 1.5},
    },
    "all-linear": {"target_modules": "all-linear"},
    "vision": {"target_modules": r".*visual.*(attn\.(qkv|proj)|linear_fc[12]|patch_embed\.proj)"},
    "tables": {"target_modules": ["embed_tokens", "lm_head"]},
    "copies": {"target_modules": ["q_proj"], "modules_to_save": ["lm_head", "merger"]},
    "biases": {"target_modules": ["linear_fc1", "q_proj"], "bias": "lora_only"},
}
MOE_CASES: dict[str, dict[str, Any]] = {
    "experts": {"target_modules": [], "target_parameters": EXPERTS},
    "one stack": {"target_modules": ["q_proj"], "target_parameters": EXPERTS[1:]},
    "experts and rest": {
        "target_modules": ["q_proj"],
        "target_parameters": [*EXPERTS, "mlp.gate.weight"],
        "use_rslora": True,
    },
}


def write_adapter(folder: Path, model: TorchModel, **settings: Any) -> TorchModel:
    """Save an adapter with random matrices; return the model that peft merged it into."""
    torch.manual_seed(1)
    adapted = get_peft_model(copy.deepcopy(model), LoraConfig(**{"r": 4, "lora_alpha": 7, **settings}))
    for name, parameter in adapted.named_parameters():
        if "lora_" in name or "modules_to_save" in name or (parameter.requires_grad and name.endswith("bias")):
            torch.nn.init.normal_(parameter, std=0.2)
    adapted.save_pretrained(str(folder))
    return adapted.merge_and_unload()


def largest_error(found: Path, expected: Path, adapter: Path | None) -> float:
    ours = parameters_of(load_checkpoint(open_checkpoint(found, adapter=adapter), dtype=mx.float32).model)
    theirs = parameters_of(load_folder(expected, dtype=mx.float32).model)
    assert ours.keys() == theirs.keys()
    return max(
        float(np.abs(np.array(ours[name]) - np.array(theirs[name])).max() / np.abs(np.array(theirs[name])).max())
        for name in theirs
    )


@pytest.mark.parametrize(
    ("kind", "case"),
    [*((kind, case) for kind in KINDS for case in CASES), *(("moe", case) for case in MOE_CASES)],
)
def test_merged_weights_equal_those_of_peft(tmp_path: Path, kind: Kind, case: str) -> None:
    model = reference_model(kind)
    merged = write_adapter(tmp_path / "adapter", model, **{**CASES, **MOE_CASES}[case])
    base, expected = save_as_hub(model, tmp_path / "base"), save_as_hub(merged, tmp_path / "merged")
    assert note_figure("adapter", largest_error(base, expected, tmp_path / "adapter")) <= 1e-6
    assert largest_error(base, expected, None) > 1e-3  # the adapter matters


@pytest.mark.parametrize(
    "mutate",
    [lambda delta: delta * 2, lambda delta: -delta, lambda delta: delta[::-1]],
    ids=["scale", "sign", "rows"],
)
def test_a_wrong_merge_is_seen(
    tmp_path: Path, mutate: Callable[[mx.array], mx.array], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = reference_model("moe")
    merged = write_adapter(tmp_path / "adapter", model, **MOE_CASES["experts"])
    base, expected = save_as_hub(model, tmp_path / "base"), save_as_hub(merged, tmp_path / "merged")
    monkeypatch.setattr(
        Merge, "_merged", lambda _self, array, make: array.astype(mx.float32) + mutate(make()), raising=True
    )
    assert largest_error(base, expected, tmp_path / "adapter") > 1e-3


def test_an_adapter_of_older_transformers_lies_the_other_way_round(tmp_path: Path) -> None:
    """There the stacks are (E, H, 2I) and (E, I, H): peft's inputs and outputs change places."""
    model = reference_model("moe")
    merged = write_adapter(tmp_path / "adapter", model, **MOE_CASES["experts"])
    path = tmp_path / "adapter" / "adapter_model.safetensors"
    tensors = load_file(path)
    turned = {}
    for name, first in tensors.items():
        if ".lora_A." not in name:
            continue
        second_name = name.replace("lora_A", "lora_B")
        stacked = first.reshape(5, -1, first.shape[-1])  # (E, rank, inputs)
        outputs = tensors[second_name].reshape(tensors[second_name].shape[0], -1, 5).permute(2, 1, 0)  # (E, rank, out)
        turned[name] = outputs.reshape(-1, outputs.shape[-1]).contiguous()
        turned[second_name] = stacked.permute(2, 1, 0).reshape(first.shape[-1], -1).contiguous()
    save_file(turned, path)
    base, expected = save_as_hub(model, tmp_path / "base"), save_as_hub(merged, tmp_path / "merged")
    assert largest_error(base, expected, tmp_path / "adapter") <= 1e-6


def test_converters_read_the_same_merged_weights(tmp_path: Path) -> None:
    model = reference_model("moe")
    merged = write_adapter(tmp_path / "adapter", model, **MOE_CASES["experts and rest"])
    base, expected = save_as_hub(model, tmp_path / "base"), open_checkpoint(save_as_hub(merged, tmp_path / "merged"))
    ours = open_checkpoint(base, adapter=tmp_path / "adapter")
    found = [read_piece(ours.source.tensors, piece) for piece in cut_checkpoint(ours)]
    wanted = [read_piece(expected.source.tensors, piece) for piece in cut_checkpoint(expected)]
    assert {name for piece in found for name in piece} == {name for piece in wanted for name in piece}
    for mine, theirs in zip(found, wanted, strict=True):
        for name, array in theirs.items():
            np.testing.assert_allclose(np.array(mine[name]), np.array(array), rtol=0, atol=1e-6)
