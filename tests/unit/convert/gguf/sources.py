"""Write tiny checkpoints that llama.cpp can run: Qwen's tokenizer in small, rows of whole blocks of 256."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlx.core as mx

from convert.source import Source, open_source
from edge.config_json import model_config_from_dict
from edge.prompt.text.tokenizer import Tokenizer, _byte_alphabet
from tests.system.folders import TEMPLATE
from tests.unit.checkpoint.checkpoints import Parameters, random_parameters, transformers5_config_json, write_hub_folder

Json = dict[str, Any]  # Any: JSON

ADDED = {
    "<|endoftext|>": True,
    "<|im_start|>": True,
    "<|im_end|>": True,
    "<|vision_start|>": True,
    "<|vision_end|>": True,
    "<|image_pad|>": True,
    "<|video_pad|>": True,
    "<tool_call>": False,
    "<|fim_prefix|>": False,
    "<think>": False,
    "</think>": False,
}
MERGES = [("a", "b"), ("Ġ", "a"), ("t", "h"), ("th", "e"), ("Ġ", "the")]
NUM_ROWS = 280


def token_ids() -> dict[str, int]:
    """Added token -> id; they follow 256 bytes and the merged tokens."""
    first = 256 + len(MERGES)
    return {content: first + index for index, content in enumerate(ADDED)}


def tokenizer_text() -> str:
    """Text of tokenizer.json: a byte per token, a few merges, Qwen's splitting."""
    vocabulary = dict(_byte_alphabet())
    for left, right in MERGES:
        vocabulary[left + right] = len(vocabulary)
    ids = token_ids()
    added = {content: (ids[content], is_special) for content, is_special in ADDED.items()}
    return str(Tokenizer.from_vocabulary(vocabulary, MERGES, added)._backend.to_str())


def source_json(*, is_moe: bool = True, is_tied: bool = False, layers: int = 3, experts: int = 4) -> Json:
    """Return a config in the hub's spelling; sizes differ in pairs where a mix-up would be silent.

    llama.cpp needs more layers than DeepStack levels.
    """
    ids = token_ids()
    text: Json = {
        "attention_bias": False,
        "head_dim": 64,
        "hidden_act": "silu",
        "hidden_size": 256,
        "intermediate_size": 512,
        "max_position_embeddings": 4096,
        "num_attention_heads": 8,
        "num_hidden_layers": layers,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-6,
        "rope_scaling": {"mrope_interleaved": True, "mrope_section": [12, 10, 10], "rope_type": "default"},
        "rope_theta": 10000,
        "vocab_size": NUM_ROWS,
        "bos_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|im_end|>"],
    }
    if is_moe:
        text |= {
            "decoder_sparse_step": 1,
            "mlp_only_layers": [],
            "moe_intermediate_size": 512,
            "norm_topk_prob": True,
            "num_experts": experts,
            "num_experts_per_tok": 2,
        }
    name = "Qwen3VLMoe" if is_moe else "Qwen3VL"
    return {
        "architectures": [f"{name}ForConditionalGeneration"],
        "model_type": "qwen3_vl_moe" if is_moe else "qwen3_vl",
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
        "tie_word_embeddings": is_tied,
        "transformers_version": "4.57.0.dev0",
        "text_config": text | {"model_type": "qwen3_vl_moe_text" if is_moe else "qwen3_vl_text"},
        "vision_config": {
            "deepstack_visual_indexes": [0, 2],
            "depth": 3,
            "hidden_act": "gelu_pytorch_tanh",
            "hidden_size": 64,
            "in_channels": 3,
            "intermediate_size": 80,
            "model_type": "qwen3_vl_moe" if is_moe else "qwen3_vl",
            "num_heads": 2,
            "num_position_embeddings": 36,
            "out_hidden_size": 256,
            "patch_size": 16,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
    }


def write_source(folder: Path, raw: Json | None = None, *, seed: int = 0, is_transformers5: bool = False) -> Path:
    """Write a hub folder with weights, tokenizer, template and settings."""
    raw = source_json() if raw is None else raw
    parameters = source_parameters(raw, seed=seed)
    if is_transformers5:
        write_hub_folder(folder, transformers5_config_json(raw), parameters, layout="transformers5")
    else:
        write_hub_folder(folder, raw, parameters)
    return write_companions(folder)


def source_parameters(raw: Json, *, seed: int = 0) -> Parameters:
    """Return random parameters of a config."""
    return random_parameters(model_config_from_dict(raw), seed=seed)


def write_companions(folder: Path) -> Path:
    """Write the files beside the weights."""
    (folder / "tokenizer.json").write_text(tokenizer_text())
    special = {"bos_token": None, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "add_bos_token": False}
    ids = token_ids()
    decoder = {
        str(ids[content]): {"content": content, "special": is_special, "normalized": False}
        for content, is_special in ADDED.items()
    }
    config = special | {"tokenizer_class": "Qwen2Tokenizer", "added_tokens_decoder": decoder}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    size = {"shortest_edge": 65536, "longest_edge": 16777216}
    settings = {"size": size, "patch_size": 16, "temporal_patch_size": 2, "merge_size": 2}
    settings |= {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
    for name in ("preprocessor_config.json", "video_preprocessor_config.json"):
        (folder / name).write_text(json.dumps(settings))
    generation: Json = {"do_sample": True, "temperature": 0.7, "top_p": 0.8, "top_k": 20}
    generation |= {"eos_token_id": [ids["<|im_end|>"], ids["<|endoftext|>"]]}
    (folder / "generation_config.json").write_text(json.dumps(generation))
    return folder


def opened(folder: Path) -> Source:
    """Open a folder as `python -m convert gguf` does."""
    return open_source(folder, name=str(folder), dtype=mx.float32)
