"""A prompt beyond the trained context, with keys and values in 8 bits: bounded memory, the logits of a plain run.

The whole form takes 300,000 tokens; the number of scores grows with the square, so `EDGE_LONG_TOKENS` sets fewer.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from subprocess import run

import mlx.core as mx
import numpy as np
import pytest

from edge.config import ModelConfig, RopeConfig
from edge.config_context import extend_context
from edge.kv.make import make_memory
from edge.memory import Precision, choose_chunk_tokens
from edge.model.qwen3vl import Qwen3VL
from tests.peak_memory import peak_rss_bytes
from tests.unit.model.tiny import CONFIG, randomize

NUM_TOKENS = int(os.environ.get("EDGE_LONG_TOKENS", "300000"))
TRAINED = 262_144
LOGITS_ERROR = 0.002
"""Of 8-bit keys and values against plain ones, relative, on 3,000 tokens of random weights: measured 0.0005."""


def long_config() -> ModelConfig:
    """One dense layer, one head: what is left is what a long context costs."""
    rope = RopeConfig(theta=5e6, mrope_section=(6, 5, 5))
    sizes = {"hidden_size": 32, "num_layers": 1, "num_heads": 1, "num_kv_heads": 1, "head_dim": 32}
    text = replace(CONFIG.text, **sizes, intermediate_size=48, moe=None, rope=rope, max_position_embeddings=TRAINED)
    config = replace(CONFIG, text=text, vision=replace(CONFIG.vision, out_hidden_size=32, deepstack_indexes=()))
    return extend_context(config, max(NUM_TOKENS, TRAINED + 1))


def last_logits(model: Qwen3VL, token_ids: np.ndarray, *, bits: int | None, chunk_tokens: int) -> np.ndarray:
    """Prefill in chunks, each evaluated before the next."""
    memory = make_memory(model.config.text, kv_bits=bits)  # type: ignore[arg-type]  # 8 or None
    logits = mx.zeros(())
    for start in range(0, len(token_ids), chunk_tokens):
        piece = token_ids[None, start : start + chunk_tokens]
        positions = np.broadcast_to(np.arange(start, start + piece.shape[1]), (3, *piece.shape))
        logits = model(mx.array(piece), positions=positions, memory=[memory], last_only=True)
        mx.eval(logits, [layer.state for layer in memory])
    return np.array(logits[0, -1])


def measure() -> None:
    """In a process of its own: the peak of the long run above that of a short one, and the bytes of its tokens."""
    config = long_config()
    model = Qwen3VL(config)
    randomize(model)
    rng = np.random.default_rng(0)
    token_ids = rng.integers(0, 100, NUM_TOKENS).astype(np.int32)
    precision = Precision(itemsize=4, is_attention_fused=False)
    chunk = choose_chunk_tokens(config.text, precision=precision, context_tokens=NUM_TOKENS, kv_bits=8)
    short = token_ids[:3000]
    found = last_logits(model, short, bits=8, chunk_tokens=chunk)
    plain = last_logits(model, short, bits=None, chunk_tokens=len(short))
    error = np.abs(found - plain).max() / np.abs(plain).max()
    before = peak_rss_bytes()
    logits = last_logits(model, token_ids, bits=8, chunk_tokens=chunk)
    print(f"{error:.5f} {peak_rss_bytes() - before} {int(np.isfinite(logits).all())} {chunk}")


@pytest.mark.long
def test_a_long_prompt_is_held_in_bounded_memory() -> None:
    code = f"from {__name__} import measure; measure()"
    done = run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=3 * 3600)
    error, grown, is_finite, chunk = done.stdout.split()
    per_token = 2 * (32 + 4 * 2)  # keys and values: 8-bit codes, float32 scale and bias of a group of 32
    print(f"{NUM_TOKENS} tokens in chunks of {chunk}: error {error}, {int(grown) / 2**20:.0f} MiB above a short prompt")
    assert float(error) < LOGITS_ERROR
    assert is_finite == "1"
    # Buffers twice while one grows, scores of a cut with its weights, mask and copies.
    assert int(grown) < 3 * per_token * NUM_TOKENS + 6 * 32 * 2**20
