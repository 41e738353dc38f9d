"""Replayed pieces give the logits of the model, whoever joins, leaves or goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import mlx.core as mx
import numpy as np
import pytest

import edge.run.replay
from edge.config import ModelConfig
from edge.kv.layer import LayerMemory
from edge.kv.make import KvBits, make_memory
from edge.model.qwen3vl import Qwen3VL
from edge.model.types import VisionOutput, VisualRows
from edge.products import by_mlx
from edge.run.replay import ShortForwards
from tests.unit.model.tiny import CONFIG, DENSE_CONFIG, tiny_model

TOLERANCE = 1e-5
Row = list[LayerMemory]


@pytest.fixture
def only_pieces() -> Iterator[None]:
    """Cut the model into its pieces without compiling them: MLX's compiler for CPUs takes seconds."""
    mx.disable_compile()
    yield
    mx.enable_compile()


def prefilled(model: Qwen3VL, length: int, *, kv_bits: KvBits | None = None) -> Row:
    """Return the memories of a prompt, evaluated."""
    memory = make_memory(model.config.text, kv_bits=kv_bits)
    ids = mx.arange(length)[None] % model.config.text.vocab_size
    model(ids, positions=text_positions(0, length), memory=[memory])
    mx.eval([layer.state for layer in memory])
    return memory


def text_positions(start: int, length: int, *, rows: int = 1) -> np.ndarray:
    return np.broadcast_to(np.arange(start, start + length), (3, rows, length))


def forked(rows: list[Row]) -> list[Row]:
    return [[layer.fork() for layer in row] for row in rows]


def error_of(model: Qwen3VL, forwards: ShortForwards, rows: list[Row], token_ids: mx.array) -> float:
    """Run one forward both ways, on forks; returns the relative error of the logits and of what is remembered."""
    positions = text_positions(9, token_ids.shape[1], rows=len(rows))
    mine, theirs = forked(rows), forked(rows)
    found = [forwards(token_ids, positions=positions, memory=mine), *(layer.state[0] for row in mine for layer in row)]
    expected = [model(token_ids, positions=positions, memory=theirs), *(layer.state[0] for r in theirs for layer in r)]
    return max(relative_error(one, other) for one, other in zip(found, expected, strict=True))


def relative_error(found: mx.array, expected: mx.array) -> float:
    one, other = (np.array(array, dtype=np.float64) for array in (found, expected))
    return float(np.linalg.norm(one - other) / np.linalg.norm(other))


@pytest.mark.parametrize("config", [CONFIG, DENSE_CONFIG], ids=["moe", "dense"])
@pytest.mark.parametrize("num_new", [1, 3])
@pytest.mark.parametrize("lengths", [[5], [5, 60, 17]])
@pytest.mark.usefixtures("only_pieces")
def test_pieces_give_the_logits_of_the_model(config: ModelConfig, num_new: int, lengths: list[int]) -> None:
    model = tiny_model(config)
    rows = [prefilled(model, length) for length in lengths]
    token_ids = mx.arange(len(rows) * num_new).reshape(len(rows), num_new)
    assert error_of(model, ShortForwards(model), rows, token_ids) <= TOLERANCE


@pytest.mark.usefixtures("only_pieces")
def test_pieces_of_another_layer_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()
    monkeypatch.setattr(edge.run.replay, "pairwise", lambda layers: [(layers[0], layers[1])] * (len(layers) - 1))
    assert error_of(model, ShortForwards(model), [prefilled(model, 5)], mx.array([[3]])) > 100 * TOLERANCE


@pytest.mark.usefixtures("only_pieces")
def test_the_last_of_some_tokens_has_the_logits_it_has_among_all() -> None:
    model, ids = tiny_model(), mx.array([[3, 4, 5]])
    forwards, row = ShortForwards(model), prefilled(model, 5)
    positions = text_positions(5, 3)
    every = forwards(ids, positions=positions, memory=forked([row]))
    last = forwards(ids, positions=positions, memory=forked([row]), last_only=True)
    of_model = model(ids, positions=positions, memory=forked([row]), last_only=True)
    assert last.shape == of_model.shape == (1, 1, CONFIG.text.vocab_size)
    assert relative_error(last, every[:, -1:]) <= TOLERANCE
    assert relative_error(of_model, every[:, -1:]) <= TOLERANCE


def test_long_forwards_and_those_with_pictures_are_the_models_own(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()
    forwards = ShortForwards(model)
    monkeypatch.setattr(forwards, "_first", None)
    output = VisionOutput(mx.ones((2, 64)), (mx.ones((2, 64)), mx.ones((2, 64))))
    visual = VisualRows(mx.array([1, 2]), output)
    ids, positions, memory = mx.arange(4)[None], text_positions(0, 4), make_memory(CONFIG.text, kv_bits=None)
    found = forwards(ids, positions=positions, memory=[memory], visual=visual)
    assert relative_error(found, model(ids, positions=positions, visual=visual)) == 0
    long = edge.run.replay.MOST_TOKENS + 1
    ids, positions = mx.arange(long)[None], text_positions(0, long)
    found = forwards(ids, positions=positions, memory=[make_memory(CONFIG.text, kv_bits=None)], last_only=True)
    assert relative_error(found, model(ids, positions=positions)[:, -1:]) <= TOLERANCE


# Compiled in earnest ------------------------------------------------------------------------------------------------


@pytest.fixture
def on_a_gpu() -> Iterator[None]:
    """Leave products to MLX, as a GPU does: numpy's cannot be compiled."""
    with by_mlx():
        yield


@pytest.mark.usefixtures("on_a_gpu")
@pytest.mark.parametrize(
    ("lengths", "num_new", "kv_bits"),
    [
        ([255], 1, None),
        ([255], 1, 8),
        ([5, 300, 17], 1, None),
        ([5, 300], 3, None),
    ],
)
@pytest.mark.long  # MLX's compiler for CPUs runs a C++ compiler
def test_compiled_pieces_give_the_logits_of_the_model_token_after_token(
    lengths: list[int], num_new: int, kv_bits: KvBits | None
) -> None:
    text = replace(CONFIG.text, head_dim=32, rope=replace(CONFIG.text.rope, mrope_section=(8, 4, 4)))
    model = tiny_model(replace(CONFIG, text=text))
    rows = [prefilled(model, length, kv_bits=kv_bits) for length in lengths]
    forwards, num_rows = ShortForwards(model), len(rows)
    for step in range(3):
        token_ids = mx.arange(num_rows * num_new).reshape(num_rows, num_new) + step
        assert error_of(model, forwards, rows, token_ids) <= TOLERANCE
        positions = text_positions(300 + step, num_new, rows=num_rows)
        mx.eval(forwards(token_ids, positions=positions, memory=rows))


@pytest.mark.long
@pytest.mark.parametrize("is_compiled", [False, True])
def test_peak_memory_of_200_tokens_behind_32768_is_flat(is_compiled: bool) -> None:
    model, text = tiny_model(), CONFIG.text
    row: Row = make_memory(text, kv_bits=None)
    for layer in row:
        layer.append(mx.zeros((1, 2 * text.num_kv_heads, 32_768 + 1, text.head_dim)))
    mx.eval([layer.state for layer in row])
    forwards = ShortForwards(model) if is_compiled else model
    peaks, token = [], mx.array([[3]])
    for step in range(200):
        mx.reset_peak_memory()
        before = mx.get_active_memory()
        logits = forwards(token, positions=text_positions(32_769 + step, 1), memory=[row], last_only=True)
        mx.async_eval(logits, [layer.state for layer in row])
        mx.eval(logits, [layer.state for layer in row])
        peaks.append(mx.get_peak_memory() - before)
    assert max(peaks[1:]) < 1.1 * min(peaks[1:]) + 100_000
    assert max(peaks[1:]) < 0.5 * row[0].nbytes, "a copy of a layer's buffer would show"
