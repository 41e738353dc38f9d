"""A prompt's products by unpacked matrices equal MLX's, in every packed form; a decode step's stay with MLX."""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx
import numpy as np
import pytest

from edge import packed_products, products
from edge.bench.device_check import check_config
from edge.bench.random_model import random_model
from edge.config import LayerQuantization
from edge.packed_products import multiply_chosen_packed, multiply_packed, piece_bytes, reading_prompt
from edge.products import MOST_BLOCKED_ROWS, by_mlx
from edge.unpacking import PackedRows, unpack
from tests.unit.test_products import relative_error, values
from tests.unit.test_unpacking import FORMS

WIDTH, OUTPUTS, EXPERTS, TOKENS = 384, 401, 5, MOST_BLOCKED_ROWS + 6
Packed = tuple[mx.array, mx.array, mx.array | None]
FOUR_BITS = LayerQuantization(64, 4, "affine")
pytestmark = pytest.mark.skipif(not products.is_numpy_quicker(), reason="MLX multiplies everything here")


def pack(form: LayerQuantization, *shape: int) -> Packed:
    """Pack random numbers."""
    weight, scales, *biases = mx.quantize(values(*shape), form.group_size, form.bits, form.mode)
    return weight, scales, biases[0] if biases else None


def dense(rows: mx.array, packed: Packed, form: LayerQuantization) -> mx.array:
    """Multiply by one matrix."""
    return multiply_packed(rows, *packed, group_size=form.group_size, bits=form.bits, mode=form.mode)


def chosen(rows: mx.array, packed: Packed, choice: mx.array, form: LayerQuantization, num_tokens: int) -> mx.array:
    """Multiply rows (R, 1, I) by one of several matrices each."""
    return multiply_chosen_packed(
        rows, *packed, choice, form=form, num_tokens=num_tokens, is_sorted=True, row_indexes=lambda: choice
    )


def sorted_choice(num_rows: int) -> mx.array:
    """Choose among the experts, but never the one before the last."""
    choice = np.random.default_rng(num_rows).choice([0, 1, 2, EXPERTS - 1], num_rows)
    return mx.array(np.sort(choice).astype(np.uint32))


def plain(multiply: Callable[[], mx.array]) -> mx.array:
    """Compute by MLX."""
    with by_mlx():
        product = multiply()
        mx.eval(product)
    return product


@pytest.fixture
def numpys(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the rows of the products that numpy makes."""
    rows: list[int] = []
    multiply = packed_products._multiply

    def counted(given: np.ndarray, matrix: PackedRows, *, out: np.ndarray) -> None:
        rows.append(len(given))
        multiply(given, matrix, out=out)

    monkeypatch.setattr(packed_products, "_multiply", counted)
    return rows


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_prompt_s_products_are_mlx_s(form: LayerQuantization, numpys: list[int]) -> None:
    packed, rows = pack(form, OUTPUTS, WIDTH), values(1, TOKENS, WIDTH)
    assert relative_error(dense(rows, packed, form), plain(lambda: dense(rows, packed, form))) < 1e-6
    assert numpys == [TOKENS]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_prompt_s_experts_are_mlx_s(form: LayerQuantization, numpys: list[int]) -> None:
    packed, rows, choice = pack(form, EXPERTS, OUTPUTS, WIDTH), values(2 * TOKENS, 1, WIDTH), sorted_choice(2 * TOKENS)
    expected = plain(lambda: chosen(rows, packed, choice, form, TOKENS))
    assert not numpys
    assert relative_error(chosen(rows, packed, choice, form, TOKENS), expected) < 1e-6
    assert sum(numpys) == 2 * TOKENS
    assert len(numpys) == 4, "an expert that nobody chose was unpacked"


@pytest.mark.parametrize("num_rows", [TOKENS, 700])
def test_a_matrix_of_several_pieces_is_mlx_s(num_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_products, "PIECE_VALUES", 100 * WIDTH)
    monkeypatch.setattr(packed_products, "PART_VALUES", 50 * WIDTH)
    packed, rows = pack(FOUR_BITS, OUTPUTS, WIDTH), values(num_rows, WIDTH)
    expected = plain(lambda: dense(rows, packed, FOUR_BITS))
    assert relative_error(dense(rows, packed, FOUR_BITS), expected) < 1e-6
    pieces: list[int] = []

    def skipping(piece: PackedRows, *, out: np.ndarray) -> None:
        pieces.append(len(out))
        if len(pieces) != 2:
            unpack(piece, out=out)

    monkeypatch.setattr(packed_products, "unpack", skipping)
    assert relative_error(dense(rows, packed, FOUR_BITS), expected) > 0.1, "a skipped piece was not noticed"
    assert len(pieces) > 2
    assert sum(pieces) == OUTPUTS


def test_rows_of_few_values_and_one_output_more_than_a_product(numpys: list[int]) -> None:
    for width, outputs in ((64, 257), (64, 3001)):
        packed, rows = pack(FOUR_BITS, outputs, width), values(TOKENS, width)
        assert relative_error(dense(rows, packed, FOUR_BITS), plain(lambda: dense(rows, packed, FOUR_BITS))) < 1e-6  # noqa: B023  # called at once
    assert len(numpys) == 2


def test_decode_steps_other_types_and_small_matrices_stay_with_mlx(numpys: list[int]) -> None:
    packed = pack(FOUR_BITS, OUTPUTS, WIDTH)
    dense(values(MOST_BLOCKED_ROWS, WIDTH), packed, FOUR_BITS)
    dense(values(TOKENS, WIDTH).astype(mx.bfloat16), packed, FOUR_BITS)
    dense(values(TOKENS, WIDTH), pack(FOUR_BITS, 8, WIDTH), FOUR_BITS)
    experts, choice = pack(FOUR_BITS, EXPERTS, OUTPUTS, WIDTH), sorted_choice(8 * MOST_BLOCKED_ROWS)
    mx.eval(chosen(values(8 * MOST_BLOCKED_ROWS, 1, WIDTH), experts, choice, FOUR_BITS, MOST_BLOCKED_ROWS))
    assert not numpys


def test_a_short_prompt_is_numpys_where_it_is_said_to_be_one(numpys: list[int]) -> None:
    packed, rows = pack(FOUR_BITS, OUTPUTS, WIDTH), values(3, WIDTH)
    experts, choice = pack(FOUR_BITS, EXPERTS, OUTPUTS, WIDTH), sorted_choice(3 * EXPERTS)
    given = values(3 * EXPERTS, 1, WIDTH)
    expected = dense(rows, packed, FOUR_BITS), chosen(given, experts, choice, FOUR_BITS, 5)
    mx.eval(expected)
    assert not numpys
    with reading_prompt():
        assert relative_error(dense(rows, packed, FOUR_BITS), expected[0]) < 1e-6
        assert relative_error(chosen(given, experts, choice, FOUR_BITS, 5), expected[1]) < 1e-6
        assert sum(numpys) == 3 + 3 * EXPERTS
        mx.eval(dense(rows[:2], packed, FOUR_BITS), chosen(given[1:], experts, choice[1:], FOUR_BITS, 5))
    assert sum(numpys) == 3 + 3 * EXPERTS, "too few rows for each matrix"


def test_a_mac_multiplies_by_mlx(monkeypatch: pytest.MonkeyPatch, numpys: list[int]) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    dense(values(TOKENS, WIDTH), pack(FOUR_BITS, OUTPUTS, WIDTH), FOUR_BITS)
    assert not numpys


@pytest.mark.parametrize("num_rows", [TOKENS, 300])
def test_the_memory_of_a_product_is_bounded(num_rows: int) -> None:
    import tracemalloc

    form = LayerQuantization(32, 8, "mxfp8")  # takes the most
    packed, rows = pack(form, 1500, 1024), values(num_rows, 1024)
    mx.eval(dense(rows, packed, form))
    tracemalloc.start()
    mx.eval(dense(rows, packed, form))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 1.05 * piece_bytes(1500 * 1024, value_bytes=4)
    assert piece_bytes(1500 * 1024, value_bytes=2) == 0


def test_the_logits_of_a_packed_model_are_mlx_s(numpys: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model(check_config(2, is_large=False), dtype=mx.float32)
    token_ids = mx.array(np.random.default_rng(1).integers(0, 990, (1, 120)))
    positions = np.broadcast_to(np.arange(120), (3, 1, 120))

    def logits() -> mx.array:
        return model(token_ids, positions=positions)

    expected = plain(logits)
    assert relative_error(logits(), expected) < 1e-5
    assert {120} < set(numpys), "expected all tokens in some products, and those of an expert in others"
    runs = packed_products._runs
    monkeypatch.setattr(packed_products, "_runs", lambda chosen: list(runs(chosen))[:-1])
    assert relative_error(logits(), expected) > 1e-3, "a mutant that leaves an expert out was not noticed"
