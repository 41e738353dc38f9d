"""The graph of a forward: types of all activations, kernels of a decode step, the same for text and images.

Launches per layer and token of an MoE model: 20; mlx-lm and mlx-vlm: 30.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

import edge.model.attention
from edge.config import ModelConfig
from edge.kv.layer import LayerMemory
from edge.kv.make import make_memory
from edge.model.qwen3vl import Qwen3VL
from edge.model.rope import apply_rope
from edge.model.types import VisualRows
from tests.figures import note_figure
from tests.unit.model.graph import gpu_kernels, launches, operations
from tests.unit.model.tiny import CONFIG, DENSE_CONFIG, tiny_model

GRIDS = [(1, 4, 6), (2, 2, 4)]
NUM_PATCHES, NUM_TOKENS = 40, 10
TOKEN = mx.array([[3]])
NINTH = np.full((3, 1, 1), 9)


def prefill(model: Qwen3VL, *, has_image: bool, dtype: mx.Dtype = mx.float32) -> tuple[mx.array, list[LayerMemory]]:
    """Build the graph of a prefill of 14 tokens, 10 of them visual."""
    memory = make_memory(model.config.text, kv_bits=None)
    ids = mx.array(np.arange(14)[None])
    positions = np.broadcast_to(np.arange(14), (3, 1, 14)).copy()
    if not has_image:
        return model(ids, positions=positions, memory=[memory]), memory
    positions[1:, 0, 2:12] = np.indices((2, 5)).reshape(2, -1) + 2
    output = model.encode_vision(mx.zeros((NUM_PATCHES, CONFIG.vision.patch_values), dtype=dtype), GRIDS)
    visual = VisualRows(mx.array(np.arange(2, 12, dtype=np.int32)), output)
    return model(ids, positions=positions, memory=[memory], visual=visual), memory


def decode_step(model: Qwen3VL, *, has_image: bool) -> list[mx.array]:
    """Evaluate a prefill and return the logits of one more token, not evaluated."""
    _, memory = prefill(model, has_image=has_image)
    mx.eval([layer.state for layer in memory])
    logits = model(TOKEN, positions=NINTH, memory=[memory], last_only=True)
    return [logits]


# Types: nothing is promoted to float32 by accident ----------------------------------------------------------------


def record_types(model: Qwen3VL, monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, mx.Dtype]]:
    """Note the type of every result of every module from now on."""
    seen: Counter[tuple[str, mx.Dtype]] = Counter()

    def noting(kind: type[nn.Module], call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(self: nn.Module, *args: Any, **kwargs: Any) -> Any:  # Any: any module's call
            result = call(self, *args, **kwargs)
            if isinstance(result, mx.array):
                seen[kind.__name__, result.dtype] += 1
            return result

        return noted

    for kind in {type(module) for module in model.modules()} - {nn.Module}:
        if "__call__" in vars(kind):
            monkeypatch.setattr(kind, "__call__", noting(kind, vars(kind)["__call__"]))
    return seen


@pytest.mark.parametrize("has_image", [False, True])
@pytest.mark.parametrize("config", [CONFIG, DENSE_CONFIG], ids=["moe", "dense"])
def test_the_bfloat16_graph_has_no_float32_activation(
    config: ModelConfig, has_image: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model(config, dtype=mx.bfloat16)
    seen = record_types(model, monkeypatch)
    logits, memory = prefill(model, has_image=has_image)  # float32 patches, as the processor gives them
    step = model(TOKEN, positions=NINTH, memory=[memory])
    assert {dtype for _, dtype in seen} == {mx.bfloat16}
    assert len(seen) >= (12 if has_image else 6)
    assert {array.dtype for layer in memory for array in layer.state} == {mx.bfloat16}
    assert logits.dtype == step.dtype == mx.bfloat16


def test_a_float32_rotation_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model(dtype=mx.bfloat16)
    right = apply_rope
    monkeypatch.setattr(edge.model.attention, "apply_rope", lambda rope, x: right(rope, x.astype(mx.float32)))
    seen = record_types(model, monkeypatch)
    prefill(model, has_image=False)
    assert mx.float32 in {dtype for _, dtype in seen}


@pytest.mark.parametrize("config", [CONFIG, DENSE_CONFIG], ids=["moe", "dense"])
def test_the_decode_graph_of_an_image_turn_equals_that_of_a_text_turn(config: ModelConfig) -> None:
    model = tiny_model(config)
    of_text = operations(*decode_step(model, has_image=False))
    of_image = operations(*decode_step(model, has_image=True))
    assert of_text == of_image
    assert of_text.total() > 100


# Kernels per token -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("config", "per_layer"), [(CONFIG, 20), (DENSE_CONFIG, 15)], ids=["moe", "dense"])
def test_kernels_per_decoded_token_and_layer(
    config: ModelConfig, per_layer: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model(config)
    mx.eval(model.parameters())
    gpu_kernels(monkeypatch)
    found = launches(*decode_step(model, has_image=True))
    embedding, norm, head = 1, 1, 1
    measured = (found.total() - embedding - norm - head) / config.text.num_layers
    note_figure("kernels-dense" if config.text.moe is None else "kernels-moe", measured)
    assert found.total() == per_layer * config.text.num_layers + embedding + norm + head, found
