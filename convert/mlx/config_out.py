"""Write the output's `config.json` in the hub's spelling, with the quantization block MLX programs read.

In: the configuration as read, the source's own JSON for what it adds, and the choices. Out: one JSON object that is
the same whichever layout the source had.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from edge.checkpoint.names.hub import expected_parameters
from edge.config import ModelConfig, RopeConfig, TextConfig, VisionConfig
from edge.plan.recipes import Choice, Format, is_matrix

Json = dict[str, Any]  # Any: JSON

# The published configs of every size say this; transformers 5 spells some keys in another way.
SPELLING_VERSION = "4.57.0.dev0"
_ARCHITECTURES = {
    "qwen3_vl": "Qwen3VLForConditionalGeneration",
    "qwen3_vl_moe": "Qwen3VLMoeForConditionalGeneration",
}
_TOKEN_KEYS = ("bos_token_id", "eos_token_id", "pad_token_id")


def make_config(
    config: ModelConfig, raw: Mapping[str, Any], *, base: Format, choices: Mapping[str, Choice]
) -> Json:  # Any: JSON
    """Make the object.

    Args:
        config: The source, as read.
        raw: The source's `config.json`.
        base: Format of most of the decoder; None writes no quantization block unless something is packed.
        choices: Parameter -> how it is stored.
    """
    text_raw = raw.get("text_config", {})
    result: Json = {
        "architectures": [_ARCHITECTURES[config.model_type]],
        "model_type": config.model_type,
        "image_token_id": config.image_token_id,
        "video_token_id": config.video_token_id,
        "vision_start_token_id": config.vision_start_token_id,
        "vision_end_token_id": config.vision_end_token_id,
        "tie_word_embeddings": config.tie_word_embeddings,
        "transformers_version": SPELLING_VERSION,
        "text_config": _text(config.text, config) | _ids(text_raw),
        "vision_config": _vision(config.vision, config.model_type),
    } | _ids(raw)
    block = quantization_block(config, base=base, choices=choices)
    if block:
        result["quantization"] = result["quantization_config"] = block
    return dict(sorted(result.items()))


def quantization_block(config: ModelConfig, *, base: Format, choices: Mapping[str, Choice]) -> Json:
    """Return the default and the modules that differ from it; empty when nothing is packed.

    Plain modules of the vision tower are not listed, as in published folders: they have no scales.
    """
    shapes = expected_parameters(config)
    packed = {name: choice.format for name, choice in choices.items() if choice.format is not None}
    if not packed:
        return {}
    default = base or next(iter(packed.values()))
    block: Json = {"group_size": default.group_size, "bits": default.bits, "mode": default.mode}
    for name, choice in choices.items():
        setting, module = choice.format, name.removesuffix(".weight")
        if setting is None and is_matrix(name, shapes[name]) and not name.startswith("vision_tower."):
            block[module] = False
        elif setting is not None and setting != default:
            block[module] = asdict(setting)
    return block


def _ids(raw: Mapping[str, Any]) -> Json:  # Any: JSON
    return {key: raw[key] for key in _TOKEN_KEYS if raw.get(key) is not None}


def _text(text: TextConfig, config: ModelConfig) -> Json:
    result: Json = {
        "attention_bias": False,
        "dtype": "bfloat16",
        "head_dim": text.head_dim,
        "hidden_act": "silu",
        "hidden_size": text.hidden_size,
        "intermediate_size": text.intermediate_size,
        "max_position_embeddings": text.max_position_embeddings,
        "model_type": f"{config.model_type}_text",
        "num_attention_heads": text.num_heads,
        "num_hidden_layers": text.num_layers,
        "num_key_value_heads": text.num_kv_heads,
        "rms_norm_eps": text.rms_norm_eps,
        "rope_scaling": _rope(text.rope),
        "rope_theta": _whole(text.rope.theta),
        "tie_word_embeddings": config.tie_word_embeddings,
        "vocab_size": text.vocab_size,
    }
    if text.moe is not None:
        result |= {
            "decoder_sparse_step": text.moe.decoder_sparse_step,
            "mlp_only_layers": list(text.moe.mlp_only_layers),
            "moe_intermediate_size": text.moe.intermediate_size,
            "norm_topk_prob": True,
            "num_experts": text.moe.num_experts,
            "num_experts_per_tok": text.moe.experts_per_token,
        }
    return dict(sorted(result.items()))


def _rope(rope: RopeConfig) -> Json:
    result: Json = {"mrope_interleaved": True, "mrope_section": list(rope.mrope_section), "rope_type": rope.rope_type}
    if rope.rope_type == "yarn":
        result |= {
            "beta_fast": rope.beta_fast,
            "beta_slow": rope.beta_slow,
            "factor": rope.factor,
            "original_max_position_embeddings": rope.original_max_position_embeddings,
        }
        if rope.attention_factor is not None:
            result["attention_factor"] = rope.attention_factor
        if not rope.truncate:
            result["truncate"] = False
    return result


def _vision(vision: VisionConfig, model_type: str) -> Json:
    return {
        "deepstack_visual_indexes": list(vision.deepstack_indexes),
        "depth": vision.depth,
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_size": vision.hidden_size,
        "in_channels": vision.in_channels,
        "intermediate_size": vision.intermediate_size,
        "model_type": model_type,
        "num_heads": vision.num_heads,
        "num_position_embeddings": vision.num_position_embeddings,
        "out_hidden_size": vision.out_hidden_size,
        "patch_size": vision.patch_size,
        "spatial_merge_size": vision.spatial_merge_size,
        "temporal_patch_size": vision.temporal_patch_size,
    }


def _whole(number: float) -> int | float:
    return int(number) if number == int(number) else number
