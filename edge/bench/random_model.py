"""Make a model with random weights in 4 bits on the spot.

In: sizes. Out: a model in memory, in seconds, where a real checkpoint would have to be downloaded. Every array is drawn
from its name, so that it can be drawn again for another runtime's model.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import replace

import mlx.core as mx
import numpy as np

from edge.checkpoint.build import build_model
from edge.checkpoint.names.hub import expected_parameters, packed_targets
from edge.config import LayerQuantization, ModelConfig
from edge.model.qwen3vl import Qwen3VL

FORM = LayerQuantization(group_size=64, bits=4, mode="affine")
DECODER_PREFIX = "language_model."


def random_model(config: ModelConfig, *, dtype: mx.Dtype) -> Qwen3VL:
    """Make this runtime's model; everything of the decoder with more than one axis is packed."""
    return build_model(config, packed_forms(config), random_parameters(config, dtype=dtype))


def with_layers(config: ModelConfig, num_layers: int) -> ModelConfig:
    """Return the configuration of a slice: fewer decoder layers, and as many DeepStack levels at most."""
    levels = config.vision.deepstack_indexes[:num_layers]
    text, vision = replace(config.text, num_layers=num_layers), replace(config.vision, deepstack_indexes=levels)
    return replace(config, text=text, vision=vision)


def packed_forms(config: ModelConfig) -> dict[str, LayerQuantization]:
    """Say which modules are packed: all matrices of the decoder, the vocabulary's included."""
    shapes = expected_parameters(config)
    names = [name for name, shape in shapes.items() if name.startswith(DECODER_PREFIX) and len(shape) > 1]
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
    kind = name.rpartition(".")[2]
    if kind == "scales":  # codes of 0 to 15 around the bias: values of about 0.02
        return mx.full(shape, 0.004, dtype=dtype)
    if kind == "biases":
        return mx.full(shape, -0.03, dtype=dtype)
    if name.removesuffix(".weight").endswith("norm") and len(shape) == 1:
        return mx.ones(shape, dtype=dtype)
    if len(shape) > 1 and name.startswith(DECODER_PREFIX):
        return _codes(zlib.crc32(name.encode()), shape)
    numbers = np.random.default_rng(zlib.crc32(name.encode()))
    return (mx.array(numbers.standard_normal(shape, dtype=np.float32)) * 0.02).astype(dtype)


def _codes(seed: int, shape: tuple[int, ...]) -> mx.array:
    """Draw codes, 8 in each 32 bits: on a GPU there, since 17 GB of them take a minute on the processor."""
    if mx.default_device().type == mx.DeviceType.gpu:
        four_bytes = (*shape[:-1], 4 * shape[-1])
        return mx.random.randint(0, 256, four_bytes, dtype=mx.uint8, key=mx.random.key(seed)).view(mx.uint32)
    return mx.array(np.random.default_rng(seed).integers(0, 2**32, shape, dtype=np.uint32))
