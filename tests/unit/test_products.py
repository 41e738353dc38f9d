"""Products by numpy equal MLX's, and a row's result in a step does not depend on the rows beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

import edge
from edge import products
from edge.checkpoint.folder import load_folder
from edge.products import attend, attend_apart, by_mlx, multiply, multiply_chosen, turned

WIDTH, OUTPUTS, EXPERTS = 512, 384, 5
pytestmark = pytest.mark.skipif(not products.is_numpy_quicker(), reason="MLX multiplies everything here")


def values(*shape: int, seed: int = 0) -> mx.array:
    """Make random float32 values."""
    return mx.array(np.random.default_rng((seed, *shape)).standard_normal(shape, dtype=np.float32))


def relative_error(one: mx.array, other: mx.array) -> float:
    """Compare by the norm of the difference; shapes and types have to be equal."""
    assert (one.shape, one.dtype) == (other.shape, other.dtype)
    return float(mx.linalg.norm((one - other).flatten()) / mx.linalg.norm(other.flatten()))


@pytest.fixture
def numpys(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the products that numpy makes."""
    rows: list[int] = []
    plain = products._multiply

    def counted(given: np.ndarray, matrix: np.ndarray, *, out: np.ndarray) -> None:
        rows.append(len(given))
        plain(given, matrix, out=out)

    monkeypatch.setattr(products, "_multiply", counted)
    return rows


@pytest.mark.parametrize("shape", [(2,), (1, 7), (8, 1), (3, 25), (70,)])
@pytest.mark.parametrize("is_turned", [False, True])
def test_numpys_product_is_mlx_s(shape: tuple[int, ...], is_turned: bool, numpys: list[int]) -> None:
    weight, bias = values(OUTPUTS, WIDTH), values(OUTPUTS)
    weight = turned(weight) if is_turned else weight
    rows = values(*shape, WIDTH, seed=1)
    with by_mlx():
        plain, shifted = multiply(rows, weight), multiply(rows, weight, bias)
        mx.eval(plain, shifted)
    assert not numpys
    assert relative_error(multiply(rows, weight), plain) < 1e-6
    assert relative_error(multiply(rows, weight, bias), shifted) < 1e-6
    assert len(numpys) == 2


def test_one_token_and_small_matrices_stay_with_mlx(numpys: list[int]) -> None:
    multiply(values(1, 1, WIDTH), values(OUTPUTS, WIDTH))
    multiply(values(9, WIDTH), values(8, WIDTH))
    multiply(values(9, WIDTH).astype(mx.bfloat16), values(OUTPUTS, WIDTH).astype(mx.bfloat16))
    assert not numpys


@pytest.mark.parametrize("num_rows", [2, 3, 8, 9, 16, 64])
def test_a_row_is_the_same_whichever_rows_stand_beside_it(num_rows: int) -> None:
    weight = turned(values(OUTPUTS, WIDTH))
    own = values(1, WIDTH, seed=3)
    alone_with_zeros = np.array(multiply(mx.concatenate([own, mx.zeros((1, WIDTH))]), weight)[0])
    for place in range(num_rows):
        others = values(num_rows, WIDTH, seed=place)
        rows = mx.concatenate([others[:place], own, others[place + 1 :]])
        assert np.array_equal(np.array(multiply(rows, weight)[place]), alone_with_zeros)


@pytest.mark.parametrize(("width", "outputs"), [(256, 1100), (2048, 130), (70_000, 17)])
@pytest.mark.parametrize("is_turned", [False, True])
def test_a_few_rows_are_multiplied_without_copying_the_matrix(width: int, outputs: int, is_turned: bool) -> None:
    weight, rows = values(outputs, width), values(5, width, seed=1)
    exact = np.array(rows).astype(np.float64) @ np.array(weight).astype(np.float64).T
    found = np.array(multiply(rows, turned(weight) if is_turned else weight))
    assert np.linalg.norm(found - exact) / np.linalg.norm(exact) < 1e-6


@pytest.mark.parametrize("num_tokens", [2, 8, 40])
def test_chosen_matrices_are_mlx_s(num_tokens: int, numpys: list[int]) -> None:
    weights = turned(values(EXPERTS, OUTPUTS, WIDTH))
    chosen = mx.array(np.random.default_rng(num_tokens).integers(0, EXPERTS, (num_tokens, 1, 2)).astype(np.uint32))
    flat = mx.sort(chosen.flatten())
    cases = [
        (values(num_tokens, 1, WIDTH), chosen, False),
        (values(num_tokens, 1, 2, 1, WIDTH), chosen, False),
        (values(2 * num_tokens, 1, WIDTH), flat, True),
    ]
    for rows, choice, is_sorted in cases:

        def indexes(rows: mx.array = rows, choice: mx.array = choice) -> mx.array:
            count = rows.size // WIDTH
            return mx.repeat(mx.arange(count), choice.size // count).reshape(choice.shape)

        with by_mlx():
            plain = multiply_chosen(rows, weights, choice, is_sorted=is_sorted, row_indexes=indexes)
            mx.eval(plain)
        assert not numpys
        ours = multiply_chosen(rows, weights, choice, is_sorted=is_sorted, row_indexes=indexes)
        assert relative_error(ours, plain) < 1e-6
        assert numpys
        numpys.clear()


@pytest.mark.parametrize("mask", [None, "causal"])
@pytest.mark.parametrize(("num_queries", "num_keys"), [(64, 300), (300, 300), (16, 1100)])
def test_attention_is_mlx_s(num_queries: int, num_keys: int, mask: str | None) -> None:
    queries = values(1, 8, num_queries, 64)
    keys, held = mx.split(values(1, 4, num_keys + 60, 64)[:, :, :num_keys], 2, axis=1)
    ours = attend(queries, keys, held, scale=0.125, mask=mask)  # type: ignore[arg-type]  # parametrized
    plain = mx.fast.scaled_dot_product_attention(queries, keys, held, scale=0.125, mask=mask)
    assert relative_error(ours, plain) < 1e-6
    assert not np.array_equal(np.array(ours), np.array(plain)), "MLX made both"


@pytest.mark.parametrize("mask", [None, "causal"])
@pytest.mark.parametrize("cut_bytes", [1 << 12, 1 << 16, 1 << 20])
def test_attention_cut_by_heads_and_queries_is_mlx_s(
    cut_bytes: int, mask: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From one query of one head at a time to all heads of one picture of three."""
    monkeypatch.setattr(products, "CUT_BYTES", cut_bytes)
    monkeypatch.setattr(products, "MOST_CUT_BYTES", cut_bytes)
    queries = values(3, 8, 150, 64)
    keys, held = mx.split(values(3, 4, 260, 64)[:, :, :200], 2, axis=1)
    ours = attend(queries, keys, held, scale=0.125, mask=mask)  # type: ignore[arg-type]  # parametrized
    plain = mx.fast.scaled_dot_product_attention(queries, keys, held, scale=0.125, mask=mask)
    assert relative_error(ours, plain) < 1e-6


def test_rows_attend_apart_as_by_mlx() -> None:
    num_held, queries = (5, 40, 300), values(3, 8, 1, 64)
    held = [values(1, 4, num_tokens + 9, 64) for num_tokens in num_held]
    ours = attend_apart(queries, held, num_held, scale=0.125)
    for index, (buffer, num_tokens) in enumerate(zip(held, num_held, strict=True)):
        keys, kept = mx.split(buffer[:, :, :num_tokens], 2, axis=1)
        row = queries[index : index + 1]
        plain = mx.fast.scaled_dot_product_attention(row, keys, kept, scale=0.125)
        assert relative_error(ours[index : index + 1], plain) < 1e-6
        alone = attend_apart(row, [buffer], [num_tokens], scale=0.125)
        assert np.array_equal(np.array(alone[0]), np.array(ours[index])), "a row depends on those beside it"


@pytest.fixture(scope="module")
def demo_logits() -> Callable[[], mx.array]:
    """Compute the demo checkpoint's logits of 120 tokens."""
    model = load_folder(Path(edge.__file__).parent / "demo").model
    token_ids = mx.array(np.random.default_rng(1).integers(0, 990, (1, 120)))
    positions = np.broadcast_to(np.arange(120), (3, 1, 120))
    return lambda: model(token_ids, positions=positions)


def test_the_demo_s_logits_are_mlx_s(demo_logits: Callable[[], mx.array], monkeypatch: pytest.MonkeyPatch) -> None:
    with by_mlx():
        plain = demo_logits()
        mx.eval(plain)
    assert relative_error(demo_logits(), plain) < 1e-5
    attend_rows = products._attend_rows
    monkeypatch.setattr(products, "_attend_rows", lambda *arrays, num_hiding: attend_rows(*arrays, num_hiding=0))
    assert relative_error(demo_logits(), plain) > 1e-3, "a mutant that sees what follows was not noticed"


def test_a_traced_graph_is_mlx_s() -> None:
    with by_mlx():
        mx.export_function(lambda _: None, lambda rows: multiply(rows, values(OUTPUTS, WIDTH)), values(9, WIDTH))


def test_turned_matrices_keep_their_values() -> None:
    weights = values(EXPERTS, OUTPUTS, WIDTH)
    assert np.array_equal(np.array(turned(weights)), np.array(weights))
    assert np.asarray(turned(weights)).strides[-2:] == (4, 4 * OUTPUTS)


def test_numpy_has_its_threads_back_afterwards() -> None:
    found = products._thread_setter()
    assert found is not None
    set_number, usual = found
    with products.one_thread():
        pass
    set_number(usual)
    assert usual >= 1


def test_a_mac_and_a_gpu_multiply_by_mlx(monkeypatch: pytest.MonkeyPatch, numpys: list[int]) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    weight = values(OUTPUTS, WIDTH)
    multiply(values(9, WIDTH), weight)
    assert not numpys
    assert turned(weight) is weight
