"""Make models with random weights in 4 bits on the spot, ours and mlx-lm's with the same ones.

In: sizes. Out: a model in memory, in seconds, where a real checkpoint would have to be downloaded. Every array is drawn
from its name, so that both models hold the same numbers without sharing them.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from edge.checkpoint.build import build_model
from edge.checkpoint.names.hub import expected_parameters, packed_targets
from edge.config import LayerQuantization, ModelConfig
from edge.errors import UsageError
from edge.model.qwen3vl import Qwen3VL

FORM = LayerQuantization(group_size=64, bits=4, mode="affine")
_PREFIX = "language_model."


def random_model(config: ModelConfig, *, dtype: mx.Dtype) -> Qwen3VL:
    """Make this runtime's model; everything of the decoder with more than one axis is packed."""
    return build_model(config, packed_forms(config), random_parameters(config, dtype=dtype))


def mlx_lm_model(config: ModelConfig, *, dtype: mx.Dtype) -> Any:  # Any: mlx-lm has no types
    """Make mlx-lm's model of the decoder, with the weights that `random_model` has.

    Raises:
        UsageError: mlx-lm is not installed, or the model has no experts.
    """
    if config.text.moe is None:
        raise UsageError("mlx-lm: expected a model with experts to compare with, found a dense one.")
    module = _mlx_lm()
    model = module.Model(module.ModelArgs(**_mlx_lm_sizes(config)))
    nn.quantize(model, FORM.group_size, FORM.bits)
    text_only = random_parameters(config, dtype=dtype, prefix=_PREFIX)
    model.load_weights([(name.removeprefix(_PREFIX), array) for name, array in text_only], strict=True)
    model.eval()
    return model


def with_layers(config: ModelConfig, num_layers: int) -> ModelConfig:
    """Return the configuration of a slice: fewer decoder layers, and as many DeepStack levels at most."""
    levels = config.vision.deepstack_indexes[:num_layers]
    text, vision = replace(config.text, num_layers=num_layers), replace(config.vision, deepstack_indexes=levels)
    return replace(config, text=text, vision=vision)


def packed_forms(config: ModelConfig) -> dict[str, LayerQuantization]:
    """Say which modules are packed: all matrices of the decoder, the vocabulary's included."""
    shapes = expected_parameters(config)
    names = [name for name, shape in shapes.items() if name.startswith(_PREFIX) and len(shape) > 1]
    return {name.removesuffix(".weight"): FORM for name in names}


def random_parameters(config: ModelConfig, *, dtype: mx.Dtype, prefix: str = "") -> Iterator[tuple[str, mx.array]]:
    """Yield the parameters whose path begins with a prefix, under their published paths, evaluated."""
    packed = packed_forms(config)
    for name, shape in expected_parameters(config).items():
        if not name.startswith(prefix):
            continue
        if name.removesuffix(".weight") in packed:
            targets = [(target.name, target.shape) for target in packed_targets(name, shape, FORM)]
        else:
            targets = [(name, shape)]
        for target, target_shape in targets:
            array = _draw(target, tuple(target_shape), dtype)
            mx.eval(array)
            yield target, array


def _draw(name: str, shape: tuple[int, ...], dtype: mx.Dtype) -> mx.array:
    numbers = np.random.default_rng(zlib.crc32(name.encode()))
    kind = name.rpartition(".")[2]
    if kind == "scales":  # codes of 0 to 15 around the bias: values of about 0.02
        return mx.full(shape, 0.004, dtype=dtype)
    if kind == "biases":
        return mx.full(shape, -0.03, dtype=dtype)
    if name.removesuffix(".weight").endswith("norm") and len(shape) == 1:
        return mx.ones(shape, dtype=dtype)
    if len(shape) > 1 and name.startswith(_PREFIX):
        return mx.array(numbers.integers(0, 2**32, shape, dtype=np.uint32))
    return (mx.array(numbers.standard_normal(shape, dtype=np.float32)) * 0.02).astype(dtype)


def _mlx_lm() -> ModuleType:
    try:
        from mlx_lm.models import qwen3_moe
    except ImportError:
        raise UsageError(
            "mlx-lm: expected it to be installed, to compare with, found none. Install it, or leave the comparison out."
        ) from None
    found: ModuleType = qwen3_moe
    return found


def _mlx_lm_sizes(config: ModelConfig) -> dict[str, Any]:  # Any: numbers, lists and texts
    text, moe = config.text, config.text.moe
    assert moe is not None, "only models with experts come here"
    return {
        "model_type": "qwen3_moe",
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
