"""Activation functions and the rotation, each one kernel on a GPU and float32 inside.

On a GPU every function here is compiled into one kernel, so its float32 steps live in registers and nothing of
that type reaches memory. On the CPU `mx.compile` would call a C++ compiler for 0.4 s per kernel and type
(measured, MLX 0.32.4), and needs one to be installed; there the plain operations run. MLX's wheel for Linux takes 20 ns
for an exponential, numpy 1: there numpy computes the activations of several tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import mlx.core as mx

from edge.products import GELU_CUBE, GELU_SLOPE, gelu_tanh_by_numpy, is_elementwise_numpys, swiglu_by_numpy

P = ParamSpec("P")
R = TypeVar("R")


def one_gpu_kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile an elementwise function when the default device is a GPU."""
    compiled: Callable[P, R] = mx.compile(function, shapeless=True)

    @wraps(function)
    def choose(*args: P.args, **kwargs: P.kwargs) -> R:
        on_gpu = mx.default_device().type == mx.DeviceType.gpu
        return (compiled if on_gpu else function)(*args, **kwargs)

    return choose


def swiglu(gate: mx.array, up: mx.array) -> mx.array:
    """Compute silu(gate) * up, both (B, L, ..., I), in the type of the inputs."""
    if is_elementwise_numpys(gate, num_tokens=math.prod(gate.shape[:2])):
        return swiglu_by_numpy(gate, up)
    return _swiglu(gate, up)


@one_gpu_kernel
def _swiglu(gate: mx.array, up: mx.array) -> mx.array:
    gate32 = gate.astype(mx.float32)
    return (gate32 * mx.sigmoid(gate32) * up.astype(mx.float32)).astype(gate.dtype)


@one_gpu_kernel
def gelu_erf(x: mx.array) -> mx.array:
    """Compute the exact GELU, the kind of the mergers (torch `nn.GELU()`)."""
    x32 = x.astype(mx.float32)
    return (0.5 * x32 * (1.0 + mx.erf(x32 * math.sqrt(0.5)))).astype(x.dtype)


def gelu_tanh(x: mx.array) -> mx.array:
    """Compute the tanh approximation of GELU, the kind of the blocks (`gelu_pytorch_tanh`), of (N, I)."""
    if is_elementwise_numpys(x, num_tokens=x.size // x.shape[-1]):
        return gelu_tanh_by_numpy(x)
    return _gelu_tanh(x)


@one_gpu_kernel
def _gelu_tanh(x: mx.array) -> mx.array:
    x32 = x.astype(mx.float32)
    inner = GELU_SLOPE * (x32 + GELU_CUBE * x32 * x32 * x32)
    return (0.5 * x32 * (1.0 + mx.tanh(inner))).astype(x.dtype)


@one_gpu_kernel
def rotate_halves(first: mx.array, second: mx.array, cos: mx.array, sin: mx.array) -> tuple[mx.array, mx.array]:
    """Rotate pairs (first[i], second[i]) by angles given as float32 cos and sin; results keep the type of the input."""
    a, b = first.astype(mx.float32), second.astype(mx.float32)  # reference rotates the vision heads in fp32
    return (a * cos - b * sin).astype(first.dtype), (b * cos + a * sin).astype(first.dtype)


@one_gpu_kernel
def turn(
    first: mx.array,
    second: mx.array,
    first_weight: mx.array,
    second_weight: mx.array,
    of_first: mx.array,
    of_second: mx.array,
    raw: mx.array,
    is_raw: mx.array,
) -> mx.array:
    """Compute first * weight * factor + second * weight * factor in float32, or take the raw value; in its type."""
    a = first.astype(mx.float32) * first_weight.astype(mx.float32)  # reference: a norm's weight in fp32
    b = second.astype(mx.float32) * second_weight.astype(mx.float32)
    return mx.where(is_raw, raw, (a * of_first + b * of_second).astype(raw.dtype))
