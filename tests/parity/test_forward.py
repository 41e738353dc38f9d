"""Logits of whole prompts against transformers: text, pictures, videos, chunks, turns, batches, decoding.

Measured (float32, CPU, this file's prompts): ours against the reference 3.1e-7 to 4.0e-7; floor, the reference in
float32 against itself in float64: 2.8e-7 to 4.0e-7. The bound is 1e-5; every mutant must exceed 1e-3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

import edge.model.moe
import edge.model.rope
import edge.model.text
from edge.checkpoint.folder import load_folder
from edge.kv.layer import LayerMemory, RowMemory
from edge.kv.make import make_memory
from edge.model.elementwise import swiglu
from edge.model.qwen3vl import Qwen3VL
from edge.model.types import VisionOutput, VisualRows
from edge.prompt.positions import Span
from edge.run.forward import visual_rows
from tests.parity.cases import Case, Picture, encode, forward, forward_rows, make_case, reference_logits
from tests.parity.reference import KINDS, Kind, loaded_model, reference_model, relative_error

TOLERANCE = 1e-5
MUTANT = 1e-3

A, B, C = Picture((1, 4, 6), seed=1), Picture((1, 8, 2), seed=2), Picture((1, 6, 10), seed=3)
V = Picture((3, 4, 10), seed=4)
CASES = {
    "text": make_case(9),
    "image": make_case(3, A, 4),
    "two images": make_case(3, A, 2, B, 5),
    "video": make_case(3, V, 5),
    "image and video": make_case(2, A, 3, V, 2, B, 4),
}
WITH_IMAGES = CASES["two images"]


@lru_cache(maxsize=32)
def expected(kind: Kind, name: str) -> np.ndarray:
    return reference_logits(reference_model(kind), CASES[name]).double().numpy()


def new_memory(model: Qwen3VL) -> list[LayerMemory]:
    return make_memory(model.config.text, kv_bits=None)


def one_position(position: int) -> np.ndarray:
    return np.full((3, 1, 1), position)


def chunked(model: Qwen3VL, case: Case, size: int) -> mx.array:
    """Feed a prompt in chunks on one memory; return the logits of all chunks."""
    memory, outputs = new_memory(model), encode(model, case.media)
    starts = range(0, case.length, size)
    parts = [
        forward(model, case, outputs=outputs, memory=memory, start=start, stop=min(start + size, case.length))
        for start in starts
    ]
    return mx.concatenate(parts, axis=1)


def prefill_and_decode(model: Qwen3VL, case: Case, num_decoded: int, positions: Callable[[int], int]) -> mx.array:
    """Prefill all but the last tokens (text), then feed those one by one at `positions(column)`."""
    memory, start = new_memory(model), case.length - num_decoded
    parts = [forward(model, case, memory=memory, stop=start)]
    for column in range(start, case.length):
        ids = mx.array(case.token_ids[None, column : column + 1])
        parts.append(model(ids, positions=one_position(positions(column)), memory=[memory]))
    return mx.concatenate(parts, axis=1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CASES)
def test_logits_equal_the_reference(kind: Kind, name: str) -> None:
    assert relative_error(forward(loaded_model(kind), CASES[name]), expected(kind, name)) <= TOLERANCE


def test_last_only_gives_the_last_column() -> None:
    model = loaded_model("moe")
    last = forward(model, WITH_IMAGES, last_only=True)
    assert last.shape == (1, 1, 211)
    assert relative_error(last, expected("moe", "two images")[:, -1:]) <= TOLERANCE


def test_logits_of_a_tied_model_equal_the_reference() -> None:
    model = loaded_model("dense", is_tied=True)
    reference = reference_logits(reference_model("dense", is_tied=True), WITH_IMAGES)
    assert relative_error(forward(model, WITH_IMAGES), reference) <= TOLERANCE


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_saved_by_transformers_5_gives_the_same_logits(kind: Kind, tmp_path: Path) -> None:
    reference_model(kind).save_pretrained(tmp_path)
    saved = load_folder(tmp_path, dtype=mx.float32)
    found = forward(saved.model, WITH_IMAGES)
    assert np.array_equal(np.array(found), np.array(forward(loaded_model(kind), WITH_IMAGES)))


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_of_a_model_with_joined_projections_give_the_logits_of_the_reference(kind: Kind) -> None:
    model = loaded_model(kind)
    layer = model.language_model.model.layers[0]
    assert layer.self_attn.qkv_proj.weight.shape == (8 * 24, 40)
    assert relative_error(chunked(model, WITH_IMAGES, 7), expected(kind, "two images")) <= TOLERANCE


@pytest.mark.parametrize("kind", KINDS)
def test_logits_with_yarn_equal_the_reference(kind: Kind) -> None:
    reference = reference_logits(reference_model(kind, is_yarn=True), WITH_IMAGES)
    assert relative_error(forward(loaded_model(kind, is_yarn=True), WITH_IMAGES), reference) <= TOLERANCE


def test_yarn_without_its_attention_factor_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge.model.rope, "_yarn_attention_factor", lambda config: 1.0)
    reference = reference_logits(reference_model("moe", is_yarn=True), WITH_IMAGES)
    assert relative_error(forward(loaded_model("moe", is_yarn=True), WITH_IMAGES), reference) > MUTANT


# Chunks, inside a picture and between pictures ---------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 16, 1000])
@pytest.mark.parametrize("name", ["two images", "image and video"])
def test_chunks_inside_an_image_give_the_same_logits(size: int, name: str) -> None:
    assert relative_error(chunked(loaded_model("moe"), CASES[name], size), expected("moe", name)) <= TOLERANCE


def test_reusing_the_first_deepstack_rows_in_later_chunks_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    right = visual_rows

    def first_rows_again(
        spans: Sequence[Span], outputs: dict[int, VisionOutput], *, start: int, stop: int
    ) -> VisualRows | None:
        rows = right(spans, outputs, start=start, stop=stop)
        if rows is None:
            return None
        count = rows.row_indexes.size
        stale = tuple(mx.concatenate([o.deepstack[i] for o in outputs.values()])[:count] for i in range(3))
        return VisualRows(rows.row_indexes, VisionOutput(rows.output.features, stale))

    monkeypatch.setattr("tests.parity.cases.visual_rows", first_rows_again)
    assert relative_error(chunked(loaded_model("moe"), WITH_IMAGES, 7), expected("moe", "two images")) > MUTANT


# Batches ----------------------------------------------------------------------------------------------------------

UNLIKE_ROWS = [make_case(2, A, 3, seed=1), make_case(11, seed=2), make_case(4, B, 1, C, 6, seed=3)]
NUM_DECODED = 3


@lru_cache(maxsize=1)
def single_runs() -> list[np.ndarray]:
    return [reference_logits(reference_model("moe"), case).double().numpy()[0] for case in UNLIKE_ROWS]


class Rows:
    """Prompts that run together, each on its own memory; the logits of each are collected."""

    def __init__(self, model: Qwen3VL, cases: Sequence[Case]) -> None:
        self.model, self.cases = model, cases
        self.outputs = [encode(model, case.media) for case in cases]
        self.memory: list[RowMemory] = [new_memory(model) for _ in cases]
        self.done = [0] * len(cases)
        self.logits: list[list[np.ndarray]] = [[] for _ in cases]

    def run(self, rows: Sequence[int], length: int) -> None:
        """Feed the next `length` tokens of these rows in one forward."""
        found = np.array(
            forward_rows(
                self.model,
                [self.cases[row] for row in rows],
                outputs=[self.outputs[row] for row in rows],
                memory=[self.memory[row] for row in rows],
                starts=[self.done[row] for row in rows],
                length=length,
            )
        )
        for index, row in enumerate(rows):
            self.logits[row].append(found[index])
            self.done[row] += length

    def left(self, row: int) -> int:
        return self.cases[row].length - self.done[row]

    def errors(self) -> list[float]:
        return [
            relative_error(np.concatenate(found), single[: self.done[row]])
            for row, (found, single) in enumerate(zip(self.logits, single_runs(), strict=True))
        ]


def in_chunks(rows: Rows, size: int) -> None:
    """Feed all rows in chunks, together while they have a whole chunk left; the shorter ones end alone."""
    while together := [row for row in range(len(rows.cases)) if rows.left(row) >= size]:
        rows.run(together, size)
    for row in range(len(rows.cases)):
        if rows.left(row):
            rows.run([row], rows.left(row))


@pytest.mark.parametrize("size", [1, 3, 5, 8])
def test_each_row_of_a_batch_equals_its_own_single_run(size: int) -> None:
    """Unlike rows: lengths, pictures, and borders of chunks inside pictures; the shortest leaves first."""
    rows = Rows(loaded_model("moe"), UNLIKE_ROWS)
    in_chunks(rows, size)
    assert max(rows.errors()) <= TOLERANCE


def test_rows_that_decode_together_equal_their_single_runs() -> None:
    """Prefilled alone, decoded together; the longest leaves first, and the first comes late."""
    rows = Rows(loaded_model("moe"), UNLIKE_ROWS)
    for row in range(3):
        rows.run([row], rows.left(row) - NUM_DECODED)
    for together in ([1, 2], [2, 1, 0], [1, 0], [0], [2]):
        rows.run([row for row in together if rows.left(row)], 1)
    assert [rows.left(row) for row in range(3)] == [0, 0, 0]
    assert max(rows.errors()) <= TOLERANCE


def test_a_batch_that_shares_the_deepstack_rows_of_its_first_row_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    right = edge.model.text.add_rows
    count = len(UNLIKE_ROWS[0].visual_columns)
    monkeypatch.setattr(edge.model.text, "add_rows", lambda hidden, rows, new: right(hidden, rows[:count], new[:count]))
    rows = Rows(loaded_model("moe"), [UNLIKE_ROWS[0], UNLIKE_ROWS[1], UNLIKE_ROWS[2]])
    rows.run([0, 1, 2], 11)
    found = rows.errors()
    assert found[0] <= TOLERANCE
    assert found[2] > MUTANT


def test_rows_that_attend_to_each_others_memories_fail() -> None:
    rows = Rows(loaded_model("moe"), UNLIKE_ROWS)
    rows.run([0, 2], 5)
    rows.memory[0], rows.memory[2] = rows.memory[2], rows.memory[0]
    rows.run([0, 2], 5)
    found = rows.errors
    rows.logits[1], rows.done[1] = [single_runs()[1][:1]], 1
    assert found()[0] > MUTANT


# Decoding and turns -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_decoding_equals_one_full_forward(kind: Kind) -> None:
    found = prefill_and_decode(loaded_model(kind), WITH_IMAGES, 4, lambda column: WITH_IMAGES.positions[0, column])
    assert relative_error(found, expected(kind, "two images")) <= TOLERANCE


def test_decoding_at_one_dimensional_positions_fails() -> None:
    found = prefill_and_decode(loaded_model("moe"), WITH_IMAGES, 4, lambda column: column)
    assert relative_error(found, expected("moe", "two images")) > MUTANT


def test_an_image_in_turn_two_on_a_kept_memory_equals_the_reference() -> None:
    model, case = loaded_model("moe"), make_case(3, A, 6, B, 5, seed=5)
    turn_two = int(case.spans[1].start) - 2
    memory = new_memory(model)
    only_first = encode(model, case.media[:1])
    first = forward(model, case, outputs=only_first, memory=memory, stop=turn_two)
    only_second = {1: model.encode_vision(mx.array(B.patches), [B.grid])}
    second = forward(model, case, outputs=only_second, memory=memory, start=turn_two)
    reference = reference_logits(reference_model("moe"), case)
    assert relative_error(mx.concatenate([first, second], axis=1), reference) <= TOLERANCE


def test_two_interleaved_streams_equal_two_separate_ones() -> None:
    model = loaded_model("moe")
    cases = [CASES["two images"], make_case(1, C, 6, seed=9)]

    def step(case: Case, memory: RowMemory, column: int) -> np.ndarray:
        ids = mx.array(case.token_ids[None, column : column + 1])
        return np.array(model(ids, positions=one_position(case.positions[0, column]), memory=[memory]))

    def separate(case: Case) -> list[np.ndarray]:
        memory = new_memory(model)
        first = np.array(forward(model, case, memory=memory, stop=case.length - 4))
        return [first, *(step(case, memory, column) for column in range(case.length - 4, case.length))]

    alone = [separate(case) for case in cases]
    memories = [new_memory(model) for _ in cases]
    mixed = [
        [np.array(forward(model, case, memory=memory, stop=case.length - 4))]
        for case, memory in zip(cases, memories, strict=True)
    ]
    for back in range(4, 0, -1):
        for own, case, memory in zip(mixed, cases, memories, strict=True):
            own.append(step(case, memory, case.length - back))
    for mine, theirs in zip(mixed, alone, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))


# Kept vision features ---------------------------------------------------------------------------------------------


def test_cached_and_fresh_vision_give_identical_logits() -> None:
    model = loaded_model("moe")
    kept = encode(model, WITH_IMAGES.media)
    mx.eval([(output.features, *output.deepstack) for output in kept.values()])
    first = forward(model, WITH_IMAGES, outputs=kept)
    again = forward(model, WITH_IMAGES, outputs=kept)
    assert np.array_equal(np.array(first), np.array(forward(model, WITH_IMAGES)))
    assert np.array_equal(np.array(first), np.array(again))


def test_a_vision_output_cannot_be_made_without_its_deepstack_levels() -> None:
    with pytest.raises(TypeError, match="deepstack"):
        VisionOutput(features=mx.zeros((2, 3)))  # type: ignore[call-arg]  # the error is the point


# Mutants of the model --------------------------------------------------------------------------------------------

_axes = edge.model.rope.frequency_axes


def _route_without_division(logits: mx.array, experts_per_token: int) -> tuple[mx.array, mx.array]:
    experts = mx.argpartition(logits, kth=-experts_per_token, axis=-1)[:, -experts_per_token:]
    return experts, mx.take_along_axis(mx.softmax(logits, axis=-1), experts, axis=-1)


MUTANTS: dict[str, tuple[object, str, Callable[..., object]]] = {
    "no deepstack": (edge.model.text, "add_rows", lambda hidden, rows, new: hidden),
    "height and width swapped": (edge.model.rope, "frequency_axes", lambda s, n: np.array([0, 2, 1])[_axes(s, n)]),
    "sections not interleaved": (edge.model.rope, "frequency_axes", lambda s, n: np.repeat([0, 1, 2], s)),
    "text positions on images": (edge.model.rope, "frequency_axes", lambda s, n: np.zeros(n, dtype=np.int64)),
    "gate and up swapped": (edge.model.moe, "swiglu", lambda gate, up: swiglu(up, gate)),
    "router weights do not add up to one": (edge.model.moe, "route", _route_without_division),
    "visual rows not put in": (edge.model.text, "put_rows", lambda hidden, rows, new: hidden),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_of_the_decoder_fails(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, name, replacement = MUTANTS[mutant]
    monkeypatch.setattr(module, name, replacement)
    assert relative_error(forward(loaded_model("moe"), WITH_IMAGES), expected("moe", "two images")) > MUTANT
