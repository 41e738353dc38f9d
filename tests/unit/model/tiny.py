"""A tiny configuration and model without files, for tests that need shapes and types but no reference."""

from __future__ import annotations

from dataclasses import replace

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_map

from edge.config import ModelConfig, MoeConfig, RopeConfig, TextConfig, VisionConfig
from edge.model.qwen3vl import Qwen3VL

VISION = VisionConfig(
    depth=3,
    hidden_size=36,
    intermediate_size=52,
    num_heads=3,
    in_channels=3,
    patch_size=4,
    temporal_patch_size=2,
    spatial_merge_size=2,
    num_position_embeddings=49,
    out_hidden_size=64,
    deepstack_indexes=(0, 2),
)
TEXT = TextConfig(
    hidden_size=64,
    num_layers=4,
    num_heads=4,
    num_kv_heads=2,
    head_dim=24,
    intermediate_size=96,
    vocab_size=128,
    max_position_embeddings=4096,
    rms_norm_eps=1e-6,
    rope=RopeConfig(theta=60.0, mrope_section=(6, 3, 3)),
    moe=MoeConfig(num_experts=6, experts_per_token=2, intermediate_size=32, decoder_sparse_step=1, mlp_only_layers=()),
)
CONFIG = ModelConfig(
    model_type="qwen3_vl_moe",
    text=TEXT,
    vision=VISION,
    image_token_id=120,
    video_token_id=121,
    vision_start_token_id=122,
    vision_end_token_id=123,
    tie_word_embeddings=False,
    eos_token_ids=(),
    transformers_version=None,
    quantization=None,
    fp8=None,
)
DENSE_CONFIG = replace(CONFIG, model_type="qwen3_vl", text=replace(TEXT, moe=None))


def tiny_model(config: ModelConfig = CONFIG, *, dtype: mx.Dtype = mx.float32) -> Qwen3VL:
    """Build a model with all weights random, std 0.2."""
    model = Qwen3VL(config)
    randomize(model, dtype=dtype)
    return model


def randomize(module: nn.Module, *, dtype: mx.Dtype = mx.float32, seed: int = 0) -> None:
    """Fill all parameters of a module with random numbers of std 0.2."""
    keys = iter(mx.random.split(mx.random.key(seed), 4096))
    module.update(
        tree_map(lambda array: (mx.random.normal(array.shape, key=next(keys)) * 0.2).astype(dtype), module.parameters())
    )
