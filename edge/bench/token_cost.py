"""Count what one decoded token costs: bytes read, kernel launches by kind, host time to build its graph.

In: a model. Out: counts; the host time alone is measured. Bytes are those of weights that a token uses, whatever the
device caches: all of the decoder, of the experts the chosen ones, and the keys and values of what came before.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten

from edge.bench.graph import gpu_kernels, launches, trace
from edge.kv.layer import LayerMemory
from edge.kv.make import KvBits, bytes_per_token, make_memory
from edge.model.qwen3vl import Qwen3VL
from edge.records import dataclass
from edge.run.replay import ShortForwards

HELD_TOKENS = 40
STEPS = 20


@dataclass(frozen=True, slots=True)
class TokenCost:
    """What one token of one row costs.

    Attributes:
        launches: Kernels by kind, as a GPU runs them.
        per_layer: Kernels of one layer.
        outside: Kernels outside the layers.
        build_s: The processor's seconds to build the graph.
        weight_bytes: Of weights that are read.
        kv_bytes_per_token: Of keys and values that are read for each token before.
    """

    launches: Counter[str]
    per_layer: float
    outside: int
    build_s: float
    weight_bytes: int
    kv_bytes_per_token: int

    def bytes_at(self, depth_tokens: int) -> int:
        """Bytes of a token behind so many others."""
        return self.weight_bytes + depth_tokens * self.kv_bytes_per_token


def token_cost(model: Qwen3VL, *, kv_bits: KvBits | None = None) -> TokenCost:
    """Count for a model whose weights are in memory; on the thread that owns it."""
    text = model.config.text
    memory = _held(model, kv_bits)
    with gpu_kernels():
        operations = launches(trace(_Step(model, memory), mx.zeros((1, 1), dtype=mx.int32)))
        outside = _launches_outside(model)
    itemsize = int(model.language_model.model.norm.weight.itemsize)
    return TokenCost(
        launches=operations,
        per_layer=(operations.total() - outside) / text.num_layers,
        outside=outside,
        build_s=_build_s(model, memory),
        weight_bytes=read_bytes(model),
        kv_bytes_per_token=bytes_per_token(text, kv_bits=kv_bits, itemsize=itemsize),
    )


def read_bytes(model: Qwen3VL) -> int:
    """Count the bytes of weights that one token reads."""
    moe = model.config.text.moe
    share = 1.0 if moe is None else moe.experts_per_token / moe.num_experts
    arrays: list[tuple[str, mx.array]] = tree_flatten(model.language_model.parameters())  # type: ignore[assignment]  # mlx: a union
    total = 0.0
    for name, array in arrays:
        if "embed_tokens" in name and not model.config.tie_word_embeddings:
            continue  # one row of it
        total += array.nbytes * (share if ".switch_mlp." in name else 1.0)
    return int(total)


def _launches_outside(model: Qwen3VL) -> int:
    """Count the kernels of the embedding, three more where it is packed, of the last norm and the head."""
    language = model.language_model

    def outside(token_ids: mx.array) -> mx.array:
        return language.logits(language.model.embed(token_ids, None))

    return launches(trace(outside, mx.zeros((1, 1), dtype=mx.int32))).total()


def _held(model: Qwen3VL, kv_bits: KvBits | None) -> list[LayerMemory]:
    text = model.config.text
    dtype = model.language_model.model.norm.weight.dtype
    memory = make_memory(text, kv_bits=kv_bits)
    for layer in memory:
        layer.append(mx.zeros((1, 2 * text.num_kv_heads, HELD_TOKENS, text.head_dim), dtype=dtype))
    mx.eval([layer.state for layer in memory])
    return memory


class _Step:
    """A decode step behind some tokens."""

    def __init__(self, model: Qwen3VL, memory: list[LayerMemory]) -> None:
        self._forwards = ShortForwards(model)
        self._memory = [layer.fork() for layer in memory]

    def __call__(self, token_ids: mx.array) -> mx.array:
        positions = np.full((3, 1, 1), HELD_TOKENS)
        return self._forwards(token_ids, positions=positions, memory=[self._memory], last_only=True)


def _build_s(model: Qwen3VL, memory: list[LayerMemory]) -> float:
    """Build steps without computing one: the pieces are traced at the first."""
    step, token, times = _Step(model, memory), mx.zeros((1, 1), dtype=mx.int32), []
    for _ in range(STEPS):
        started = time.thread_time()
        step(token)
        times.append(time.thread_time() - started)
    return statistics.median(times[2:])
