"""Make other runtimes' models with the weights of our random one: mlx-lm's and mlx-vlm's, where they are installed.

In: sizes, and what draws the weights under their published paths, called once a package is found. Out: a model in
memory; two that get the same arrays share them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from edge.bench.random_model import DECODER_PREFIX, FORM, packed_forms
from edge.config import ModelConfig
from edge.errors import UsageError

Weights = Callable[[], Mapping[str, mx.array]]


def mlx_lm_model(config: ModelConfig, weights: Weights) -> Any:  # Any: mlx-lm has no types
    """Make mlx-lm's model of the decoder.

    Raises:
        UsageError: mlx-lm is not installed, or the model has no experts.
    """
    sizes = _text_sizes(config, "mlx-lm")
    try:
        from mlx_lm.models import qwen3_moe
    except ImportError:
        raise _missing("mlx-lm") from None
    module: ModuleType = qwen3_moe
    model = module.Model(module.ModelArgs(model_type="qwen3_moe", **sizes))
    nn.quantize(model, FORM.group_size, FORM.bits)
    found = weights().items()
    text = [(name.removeprefix(DECODER_PREFIX), array) for name, array in found if name.startswith(DECODER_PREFIX)]
    model.load_weights(text, strict=True)
    model.eval()
    return model


def mlx_vlm_model(config: ModelConfig, weights: Weights) -> Any:  # Any: mlx-vlm has no types
    """Make mlx-vlm's model of decoder and tower.

    Raises:
        UsageError: mlx-vlm is not installed, or the model has no experts.
    """
    sizes = _text_sizes(config, "mlx-vlm")
    try:
        from mlx_vlm.models import qwen3_vl_moe
    except ImportError:
        raise _missing("mlx-vlm") from None
    module: ModuleType = qwen3_vl_moe
    rope = {"rope_type": "default", "mrope_section": list(config.text.rope.mrope_section)}
    text = module.TextConfig(model_type="qwen3_vl_moe_text", rope_scaling=rope, **sizes)
    model = module.Model(
        module.ModelConfig(
            model_type="qwen3_vl_moe",
            text_config=text,
            vision_config=module.VisionConfig(**_vision_sizes(config)),
            image_token_id=config.image_token_id,
            video_token_id=config.video_token_id,
            vision_start_token_id=config.vision_start_token_id,
            vision_end_token_id=config.vision_end_token_id,
            vocab_size=config.text.vocab_size,
        )
    )
    packed = packed_forms(config)
    nn.quantize(model, FORM.group_size, FORM.bits, class_predicate=lambda path, _: path in packed)
    model.load_weights(list(weights().items()), strict=True)
    model.eval()
    return model


def _missing(package: str) -> UsageError:
    return UsageError(
        f"{package}: expected it to be installed, to compare with, found none. Install it, or leave the comparison out."
    )


def _text_sizes(config: ModelConfig, package: str) -> dict[str, Any]:  # Any: numbers, lists and texts
    text, moe = config.text, config.text.moe
    if moe is None:
        raise UsageError(f"{package}: expected a model with experts to compare with, found a dense one.")
    return {
        "hidden_size": text.hidden_size,
        "num_hidden_layers": text.num_layers,
        "intermediate_size": text.intermediate_size,
        "num_attention_heads": text.num_heads,
        "num_experts": moe.num_experts,
        "num_experts_per_tok": moe.experts_per_token,
        "decoder_sparse_step": moe.decoder_sparse_step,
        "mlp_only_layers": list(moe.mlp_only_layers),
        "moe_intermediate_size": moe.intermediate_size,
        "rms_norm_eps": text.rms_norm_eps,
        "vocab_size": text.vocab_size,
        "num_key_value_heads": text.num_kv_heads,
        "head_dim": text.head_dim,
        "rope_theta": text.rope.theta,
        "tie_word_embeddings": config.tie_word_embeddings,
        "max_position_embeddings": text.max_position_embeddings,
        "norm_topk_prob": True,
    }


def _vision_sizes(config: ModelConfig) -> dict[str, Any]:  # Any: numbers and lists
    vision = config.vision
    return {
        "depth": vision.depth,
        "hidden_size": vision.hidden_size,
        "intermediate_size": vision.intermediate_size,
        "out_hidden_size": vision.out_hidden_size,
        "num_heads": vision.num_heads,
        "patch_size": vision.patch_size,
        "spatial_patch_size": vision.patch_size,
        "temporal_patch_size": vision.temporal_patch_size,
        "spatial_merge_size": vision.spatial_merge_size,
        "in_channels": vision.in_channels,
        "num_position_embeddings": vision.num_position_embeddings,
        "deepstack_visual_indexes": list(vision.deepstack_indexes),
    }
