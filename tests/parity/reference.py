"""Tiny random Qwen3-VL models in transformers (the reference), saved as checkpoints and loaded here.

Sizes are pairwise different, so that a swapped axis cannot fit by chance; every weight, bias and norm is random
with std 0.2 (the usual 0.02 hides bugs); rope theta is small, so that a wrong position shows.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import mlx.core as mx
import numpy as np
import torch
from safetensors.torch import save_file
from transformers import (
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLMoeConfig,
    Qwen3VLMoeForConditionalGeneration,
)

from edge.checkpoint.folder import load_folder
from edge.model.qwen3vl import Qwen3VL
from tests.figures import note_figure

torch.set_num_threads(1)

Kind = Literal["moe", "dense"]
KINDS: tuple[Kind, ...] = ("moe", "dense")
IMAGE, VIDEO, VISION_START, VISION_END = 200, 201, 202, 203
VOCAB_SIZE = 211
MERGE_SIZE = 2
PATCH_VALUES = 3 * 2 * 4 * 4

# The reference is torch without annotations.
TorchModel = Any
ROPE = {"rope_type": "default", "mrope_section": [6, 3, 3], "mrope_interleaved": True, "rope_theta": 60.0}
YARN = {**ROPE, "rope_type": "yarn", "factor": 3.0, "original_max_position_embeddings": 64}
TEXT = {
    "hidden_size": 40,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 24,
    "intermediate_size": 68,
    "vocab_size": VOCAB_SIZE,
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-6,
}
MOE = {"moe_intermediate_size": 28, "num_experts": 5, "num_experts_per_tok": 2, "decoder_sparse_step": 1}
VISION = {
    "depth": 4,
    "hidden_size": 36,
    "intermediate_size": 52,
    "num_heads": 3,
    "in_channels": 3,
    "patch_size": 4,
    "temporal_patch_size": 2,
    "spatial_merge_size": MERGE_SIZE,
    "num_position_embeddings": 49,
    "out_hidden_size": 40,
    "deepstack_visual_indexes": [0, 1, 3],
}
IDS: dict[str, Any] = {  # Any: keyword arguments of a class with many
    "image_token_id": IMAGE,
    "video_token_id": VIDEO,
    "vision_start_token_id": VISION_START,
    "vision_end_token_id": VISION_END,
}


@lru_cache(maxsize=8)
def reference_model(
    kind: Kind,
    *,
    is_tied: bool = False,
    is_yarn: bool = False,
    theta: float = 60.0,
    head_dim: int = 24,
    trained_tokens: int = 64,
) -> TorchModel:
    """Build a reference model in float32; `reference_model(kind).double()` would change it for all."""
    rope = {**(YARN if is_yarn else ROPE), "rope_theta": theta}
    if is_yarn:
        rope["original_max_position_embeddings"] = trained_tokens
    if head_dim == 128:
        rope["mrope_section"] = [24, 20, 20]
    text = {**TEXT, **(MOE if kind == "moe" else {}), "rope_parameters": dict(rope), "tie_word_embeddings": is_tied}
    text["head_dim"] = head_dim
    config_class, model_class = {
        "moe": (Qwen3VLMoeConfig, Qwen3VLMoeForConditionalGeneration),
        "dense": (Qwen3VLConfig, Qwen3VLForConditionalGeneration),
    }[kind]
    config = config_class(text_config=text, vision_config=dict(VISION), tie_word_embeddings=is_tied, **IDS)
    model = model_class(config).eval()
    model.set_experts_implementation("eager")  # the definition; the default (grouped_mm) has no float64
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model


def save_as_hub(model: TorchModel, folder: Path) -> Path:
    """Write the hub's layout (transformers 4.57): experts [E, H, 2I] and [E, I, H], `rope_scaling` in the config."""
    config = json.loads(model.config.to_json_string())
    text = config["text_config"]
    rope = text.pop("rope_parameters")
    text["rope_theta"] = rope.pop("rope_theta")
    text["rope_scaling"] = rope
    if "num_local_experts" in text:
        text["num_experts"] = text.pop("num_local_experts")
    config["transformers_version"] = "4.57.0.dev0"
    config["architectures"] = [type(model).__name__]
    tensors = {}
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config["tie_word_embeddings"]:
            continue
        is_expert = ".mlp.experts." in name
        tensors[name] = (tensor.transpose(-1, -2) if is_expert else tensor).contiguous()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file(tensors, folder / "model.safetensors")
    return folder


@lru_cache(maxsize=8)
def loaded_model(kind: Kind, *, is_tied: bool = False, is_yarn: bool = False) -> Qwen3VL:
    """Load the same weights here, through a hub folder on disk and the loader."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        save_as_hub(reference_model(kind, is_tied=is_tied, is_yarn=is_yarn), Path(folder))
        return load_folder(Path(folder), dtype=mx.float32).model


def relative_error(found: object, expected: object) -> float:
    """Return ||found - expected|| / ||expected|| in float64, after checking that the shapes are equal."""
    a, b = as_float64(found), as_float64(expected)
    assert a.shape == b.shape, f"shapes {a.shape} and {b.shape}"
    return note_figure("relative error", float(np.linalg.norm(a - b) / np.linalg.norm(b)))


def as_float64(array: object) -> np.ndarray:
    """Turn an MLX, torch or numpy array into float64."""
    if isinstance(array, torch.Tensor):
        return array.detach().double().numpy()
    return np.asarray(array, dtype=np.float64)
