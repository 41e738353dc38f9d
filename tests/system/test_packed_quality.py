"""What packed keys and values cost on the demo's held-out questions: logits of the answer against plain ones.

Measured (float32, CPU, 12 questions of six tasks, the model's own thought and answer fed): 8 bits: KL 0.0004 nats, all
best tokens kept; 4 bits: 0.018 nats, 98.8 %. The bounds leave a factor of five.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import mlx.core as mx
import numpy as np
import pytest

import edge
from edge.checkpoint.folder import load_folder
from edge.kv.make import bytes_per_token, make_memory
from edge.kv.prefix import row_bytes
from edge.loading import DEMO_FOLDER
from edge.model.qwen3vl import Qwen3VL
from edge.model.types import VisionOutput
from edge.prompt.build import Prompt
from edge.run.forward import visual_rows
from examples.demo_model.held_out import cases
from tests.figures import note_figure

TASKS = ("describe", "count", "read", "box", "compare", "tool")
CASES_PER_TASK = 2
CHUNK_TOKENS = 256
KvBits = Literal[8, 4] | None


@cache
def model() -> Qwen3VL:
    return load_folder(DEMO_FOLDER, dtype=mx.float32).model


@cache
def prompts() -> list[tuple[Prompt, int]]:
    """Each question with its right answer behind it, and where the answer begins."""
    found = []
    with edge.load() as engine:
        for task in TASKS:
            for case in cases(task, CASES_PER_TASK):
                asked = edge.Request(messages=case.messages, tools=case.tools)
                answer = engine.answer(asked)
                told = [*case.messages, answer.message()]
                whole = engine.build_prompt(edge.Request(messages=told, tools=case.tools))
                found.append((whole, len(engine.build_prompt(asked).token_ids) - 2))
    return found


@cache
def seen(index: int) -> dict[int, VisionOutput]:
    """What the tower makes of the pictures of a question."""
    media = prompts()[index][0].media
    return {i: model().encode_vision(mx.array(m.patches), [m.grid_thw]) for i, m in enumerate(media)}


@cache
def answer_logits(kv_bits: KvBits, index: int) -> np.ndarray:
    """Logits (L, V) of the answer's tokens, the prompt fed in chunks."""
    prompt, start_of_answer = prompts()[index]
    memory = make_memory(model().config.text, kv_bits=kv_bits)
    parts = []
    for start in range(0, len(prompt.token_ids), CHUNK_TOKENS):
        stop = min(start + CHUNK_TOKENS, len(prompt.token_ids))
        logits = model()(
            mx.array(prompt.token_ids[None, start:stop]),
            positions=prompt.positions[:, None, start:stop],
            memory=[memory],
            visual=visual_rows(prompt.spans, seen(index), start=start, stop=stop),
        )
        parts.append(np.array(logits[0]))
    return np.concatenate(parts)[start_of_answer:]


def compare(kv_bits: KvBits) -> tuple[float, float, float]:
    """Mean KL in nats, share of best tokens kept, and relative error of the logits, over all answers."""
    divergences, kept, errors = [], [], []
    for index in range(len(prompts())):
        plain, packed = (mx.array(answer_logits(bits, index)) for bits in (None, kv_bits))
        log_p, log_q = (logits - mx.logsumexp(logits, axis=-1, keepdims=True) for logits in (plain, packed))
        divergences.append(np.array((mx.exp(log_p) * (log_p - log_q)).sum(axis=-1)))
        kept.append(np.array(mx.argmax(plain, axis=-1) == mx.argmax(packed, axis=-1)))
        errors.append(float(mx.linalg.norm(packed - plain) / mx.linalg.norm(plain)))
    return (
        float(np.concatenate(divergences).mean()),
        float(np.concatenate(kept).mean()),
        float(np.mean(errors)),
    )


@pytest.mark.parametrize(("bits", "most_kl", "least_kept"), [(8, 0.002, 0.98), (4, 0.1, 0.85)])
def test_packed_keys_and_values_cost_little(bits: Literal[8, 4], most_kl: float, least_kept: float) -> None:
    divergence, kept, error = compare(bits)
    note_figure(f"packed-{bits}-kl", divergence)
    note_figure(f"packed-{bits}-top1", kept)
    assert 0 < divergence <= most_kl
    assert kept >= least_kept
    assert 0 < error < 0.2


@pytest.mark.parametrize("bits", [None, 8, 4])
def test_bytes_per_token_are_those_planned(bits: KvBits) -> None:
    text = model().config.text
    memory = make_memory(text, kv_bits=bits)
    both = mx.zeros((1, 2 * text.num_kv_heads, 512, text.head_dim))
    for layer in memory:
        layer.append(both)
    assert row_bytes(memory) == 512 * bytes_per_token(text, kv_bits=bits, itemsize=4)
