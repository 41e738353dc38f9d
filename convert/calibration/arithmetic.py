"""The few operations of a decoder layer and their ways back, in numpy float32.

On the CPU of Linux numpy's products are fifty times as quick as MLX's (156 against 3 GFLOP/s on two cores, MLX 0.32.4),
and a Mac's numpy uses the same units as MLX there.
"""

from __future__ import annotations

import numpy as np

from convert.calibration.moments import Floats


def rms_norm(rows: Floats, weight: Floats, epsilon: float) -> Floats:
    """Normalise rows (..., D)."""
    scale = 1 / np.sqrt(np.square(rows).mean(axis=-1, keepdims=True) + np.float32(epsilon))
    normed: Floats = rows * scale * weight
    return normed


def rms_norm_back(rows: Floats, weight: Floats, epsilon: float, back: Floats) -> Floats:
    """Bring a gradient back through `rms_norm`."""
    scale = 1 / np.sqrt(np.square(rows).mean(axis=-1, keepdims=True) + np.float32(epsilon))
    own = back * weight
    shared = (own * rows).mean(axis=-1, keepdims=True)
    result: Floats = scale * own - rows * (scale**3 * shared)
    return result


def sigmoid(values: Floats) -> Floats:
    """Return 1 / (1 + exp(-x)) without overflow."""
    result: Floats = np.float32(0.5) * (1 + np.tanh(np.float32(0.5) * values))
    return result


def swiglu(gate: Floats, up: Floats) -> Floats:
    """Compute silu(gate) * up."""
    result: Floats = gate * sigmoid(gate) * up
    return result


def swiglu_back(gate: Floats, up: Floats, back: Floats) -> tuple[Floats, Floats]:
    """Bring a gradient back to gate and up."""
    share = sigmoid(gate)
    silu = gate * share
    return back * up * (share + silu * (1 - share)), back * silu


def softmax(scores: Floats) -> Floats:
    """Return the softmax over the last axis; minus infinity is allowed."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    result: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return result


def softmax_back(chances: Floats, back: Floats) -> Floats:
    """Bring a gradient back through a softmax with these outputs."""
    result: Floats = chances * (back - (chances * back).sum(axis=-1, keepdims=True))
    return result


def square_of(outputs: Floats, inputs: Floats) -> float:
    """Return the sum of squares of outputs^T inputs (both (n, .)), whichever way is shorter."""
    if len(outputs) < min(outputs.shape[1], inputs.shape[1]):
        return float(((outputs @ outputs.T) * (inputs @ inputs.T)).sum(dtype=np.float64))
    return float(np.square(outputs.T @ inputs).sum(dtype=np.float64))
