"""The graph of a forward: types of all results, kernels of a decode step, the same for text and images.

Launches per layer and token of an MoE model: 17; mlx-lm and mlx-vlm: 30.
"""

from __future__ import annotations

from collections import Counter

import mlx.core as mx
import numpy as np
import pytest

import edge.model.attention
from edge.bench.graph import Operation, gpu_kernels, launches, trace
from edge.config import ModelConfig
from edge.kv.layer import LayerMemory
from edge.kv.make import make_memory
from edge.model.qwen3vl import Qwen3VL
from edge.model.rope import Rope, turn_heads
from edge.model.types import VisualRows
from edge.run.replay import ShortForwards
from tests.figures import note_figure
from tests.unit.model.tiny import CONFIG, DENSE_CONFIG, tiny_model

GRIDS = [(1, 4, 6), (2, 2, 4)]
NUM_PATCHES = 40
TOKEN = mx.array([[3]])
CONFIGS = pytest.mark.parametrize("config", [CONFIG, DENSE_CONFIG], ids=["moe", "dense"])


def prefill(model: Qwen3VL, patches: mx.array | None = None) -> tuple[mx.array, list[LayerMemory]]:
    """Build the graph of a prefill of 14 tokens, 10 of them visual where there are patches."""
    memory = make_memory(model.config.text, kv_bits=None)
    ids = mx.array(np.arange(14)[None])
    positions = np.broadcast_to(np.arange(14), (3, 1, 14)).copy()
    if patches is None:
        return model(ids, positions=positions, memory=[memory]), memory
    positions[1:, 0, 2:12] = np.indices((2, 5)).reshape(2, -1) + 2
    visual = VisualRows(mx.array(np.arange(2, 12, dtype=np.int32)), model.encode_vision(patches, GRIDS))
    return model(ids, positions=positions, memory=[memory], visual=visual), memory


def held(config: ModelConfig, dtype: mx.Dtype) -> list[LayerMemory]:
    """Return memories of 14 tokens."""
    text, memory = config.text, make_memory(config.text, kv_bits=None)
    for layer in memory:
        layer.append(mx.zeros((1, 2 * text.num_kv_heads, 14, text.head_dim), dtype=dtype))
    return memory


def step_operations(model: Qwen3VL, memory: list[LayerMemory], *, rows: int = 1) -> list[Operation]:
    """List the operations of the logits of one more token a row, as the pieces of a GPU build them."""
    mx.eval(model.parameters(), [layer.state for layer in memory])
    rows_memory = [[layer.fork() for layer in memory] for _ in range(rows)]
    forwards = ShortForwards(model)

    def step(token_ids: mx.array) -> mx.array:
        return forwards(token_ids, positions=np.full((3, rows, 1), 14), memory=rows_memory, last_only=True)

    return trace(step, mx.zeros((rows, 1), dtype=mx.int32))


# Types: nothing is promoted to float32 by accident ----------------------------------------------------------------


def float32_results(operations: list[Operation]) -> Counter[str]:
    return Counter(operation.name for operation in operations if mx.float32 in operation.dtypes)


def prefill_operations(model: Qwen3VL) -> list[Operation]:
    """List the operations of a prefill with pictures: float32 patches, as the processor gives them."""
    mx.eval(model.parameters())

    def forward(patches: mx.array) -> list[mx.array]:
        logits, memory = prefill(model, patches)
        return [logits, *(array for layer in memory for array in layer.state)]

    return trace(forward, mx.zeros((NUM_PATCHES, CONFIG.vision.patch_values)))


@CONFIGS
def test_the_bfloat16_graph_has_no_float32_result(config: ModelConfig) -> None:
    model = tiny_model(config, dtype=mx.bfloat16)
    with gpu_kernels():
        assert float32_results(step_operations(model, held(config, mx.bfloat16))) == Counter()
        # The tower interpolates its position table in float32, as the reference does, and adds it in the compute type.
        table = trace(lambda _: model.vision_tower.position_embeddings(GRIDS), mx.zeros((1,)))
        assert float32_results(prefill_operations(model)) == float32_results(table)


def test_a_float32_rotation_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def wide(rope: Rope, normed: mx.array, *, weights: list[mx.array], raw: mx.array, num_turned: int) -> mx.array:
        return turn_heads(rope, normed, weights=weights, raw=raw.astype(mx.float32), num_turned=num_turned)

    monkeypatch.setattr(edge.model.attention, "turn_heads", wide)
    with gpu_kernels():
        assert float32_results(step_operations(tiny_model(dtype=mx.bfloat16), held(CONFIG, mx.bfloat16)))


@CONFIGS
def test_the_decode_graph_of_an_image_turn_equals_that_of_a_text_turn(config: ModelConfig) -> None:
    model = tiny_model(config)
    patches = mx.zeros((NUM_PATCHES, CONFIG.vision.patch_values))
    of_text = step_operations(model, prefill(model)[1])
    assert of_text == step_operations(model, prefill(model, patches)[1])
    assert len(of_text) > 100


# Kernels per token -----------------------------------------------------------------------------------------------


def launches_of(config: ModelConfig, *, rows: int = 1) -> Counter[str]:
    with gpu_kernels():
        return launches(step_operations(tiny_model(config), held(config, mx.float32), rows=rows))


@pytest.mark.parametrize(("config", "per_layer"), [(CONFIG, 17), (DENSE_CONFIG, 13)], ids=["moe", "dense"])
def test_kernels_per_decoded_token_and_layer(config: ModelConfig, per_layer: int) -> None:
    found = launches_of(config)
    embedding, norm, head = 1, 1, 1
    measured = (found.total() - embedding - norm - head) / config.text.num_layers
    note_figure("kernels-dense" if config.text.moe is None else "kernels-moe", measured)
    assert found.total() == per_layer * config.text.num_layers + embedding + norm + head, found


def test_more_rows_launch_only_their_own_attention() -> None:
    of_one, of_three = launches_of(CONFIG), launches_of(CONFIG, rows=3)
    added = of_three - of_one
    layers = CONFIG.text.num_layers
    # A write and an attention for each further row, and the joining of what they gave.
    assert added == Counter({"SliceUpdate": 2 * layers, "attention": 2 * layers, "Concatenate": layers})
