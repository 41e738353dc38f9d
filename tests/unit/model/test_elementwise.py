"""Activation functions: their formulas, their types, and that compiling them changes nothing."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable

import mlx.core as mx
import numpy as np
import pytest

from edge import products
from edge.model.elementwise import gelu_erf, gelu_tanh, one_gpu_kernel, rotate_halves, swiglu
from edge.products import by_mlx

X = np.linspace(-5, 5, 41, dtype=np.float32)


def test_the_two_gelus_are_the_two_formulas_of_torch() -> None:
    erf = np.array([0.5 * x * (1 + math.erf(x / math.sqrt(2))) for x in X.tolist()])
    tanh = 0.5 * X * (1 + np.tanh(math.sqrt(2 / math.pi) * (X + 0.044715 * X**3)))
    np.testing.assert_allclose(np.array(gelu_erf(mx.array(X))), erf, atol=2e-6)
    np.testing.assert_allclose(np.array(gelu_tanh(mx.array(X))), tanh, atol=2e-6)
    assert np.abs(erf - tanh).max() > 1e-4


def test_swiglu_gates_its_second_argument_by_the_first() -> None:
    found = np.array(swiglu(mx.array(X), mx.array(X[::-1].copy())))
    np.testing.assert_allclose(found, X / (1 + np.exp(-X)) * X[::-1], atol=2e-6)


@pytest.mark.parametrize("function", [gelu_erf, gelu_tanh])
def test_half_types_are_kept_and_rounded_once(function: Callable[[mx.array], mx.array]) -> None:
    x = mx.array(X).astype(mx.bfloat16)
    found = function(x)
    assert found.dtype == mx.bfloat16
    exact = function(x.astype(mx.float32)).astype(mx.bfloat16)
    assert np.array_equal(np.array(found.astype(mx.float32)), np.array(exact.astype(mx.float32)))


@pytest.mark.parametrize(
    ("function", "shapes"),
    [(swiglu, [(2, 1, 300)] * 2), (swiglu, [(3, 1, 2, 1, 256)] * 2), (gelu_tanh, [(500, 400)])],
)
def test_several_tokens_by_numpy_are_mlx_s(function: Callable[..., mx.array], shapes: list[tuple[int, ...]]) -> None:
    arrays = [mx.random.normal(shape, key=mx.random.key(index)) * 30 for index, shape in enumerate(shapes)]
    before = [np.array(array) for array in arrays]
    with by_mlx():
        plain = np.array(function(*arrays))
    ours = np.array(function(*arrays))
    assert np.linalg.norm(ours - plain) / np.linalg.norm(plain) < 3e-7
    if products.is_numpy_quicker():
        assert not np.array_equal(ours, plain), "MLX made both"
    assert all(np.array_equal(old, np.array(array)) for old, array in zip(before, arrays, strict=True))


@pytest.mark.parametrize("function", [lambda x: swiglu(x, x), gelu_tanh])
def test_one_token_and_other_types_stay_with_mlx(
    function: Callable[[mx.array], mx.array], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "_filled", None)
    function(mx.ones((1, 1, 300)))
    function(mx.ones((9, 1, 100)))
    function(mx.ones((9, 1, 300), dtype=mx.bfloat16))


def test_huge_gates_are_shut_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    x = mx.full((4, 1, 256), -200.0)
    assert float(mx.abs(swiglu(x, x)).max()) == 0.0
    assert float(mx.abs(gelu_tanh(x[:, 0])).max()) == 0.0
    assert not recwarn.list


def test_rotated_halves_keep_the_type_of_the_heads() -> None:
    x, angle = mx.ones((1, 2, 3, 4), dtype=mx.bfloat16), mx.zeros((1, 1, 3, 4))
    first, second = rotate_halves(x, 2 * x, mx.cos(angle), mx.sin(angle))
    assert (first.dtype, second.dtype) == (mx.bfloat16, mx.bfloat16)
    assert float(first.sum()) == 24.0
    assert float(second.sum()) == 48.0


@pytest.mark.skipif(shutil.which("g++") is None, reason="MLX compiles for the CPU with g++")
def test_compiled_functions_take_any_shape_and_give_the_same_numbers() -> None:
    compiled = mx.compile(rotate_halves.__wrapped__, shapeless=True)  # type: ignore[attr-defined]  # set by functools.wraps
    for batch, length in ((1, 5), (2, 1), (1, 9)):
        x = mx.random.normal((batch, 3, length, 4), key=mx.random.key(length))
        angle = mx.random.normal((batch, 1, length, 4), key=mx.random.key(length + 100))
        arrays = (x, -x + 1, mx.cos(angle), mx.sin(angle))
        for found, expected in zip(compiled(*arrays), rotate_halves(*arrays), strict=True):
            np.testing.assert_allclose(np.array(found), np.array(expected), atol=1e-6)


def test_functions_are_compiled_on_a_gpu_only(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(mx, "compile", lambda function, shapeless: lambda *args: calls.append("compiled"))
    function = one_gpu_kernel(lambda x: calls.append("plain"))
    function(X)
    monkeypatch.setattr(mx, "default_device", lambda: mx.Device(mx.gpu))
    function(X)
    assert calls == ["plain", "compiled"]
