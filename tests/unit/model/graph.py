"""Look at MLX's graph: which operations a result needs that is not computed yet, and which of them launch a kernel."""

from __future__ import annotations

import io
import re
from collections import Counter

import mlx.core as mx
import pytest

import edge.model.moe
import edge.model.rope

VIEWS = {
    "Broadcast", "Depends", "ExpandDims", "Flatten", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unflatten",
}  # fmt: skip
"""Operations that only change shape and strides, at one new token."""


def operations(*outputs: mx.array) -> Counter[str]:
    """Count the operations between evaluated arrays and these results."""
    dot = io.StringIO()
    mx.export_to_dot(dot, *outputs)
    return Counter(re.findall(r'label ="(\w+)"', dot.getvalue()))


def launches(*outputs: mx.array) -> Counter[str]:
    """Count the operations that launch a kernel on a GPU, given `gpu_kernels`."""
    return Counter({name: count for name, count in operations(*outputs).items() if name not in VIEWS})


def gpu_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show fused kernels as one operation each, as a GPU runs them; the CPU takes them apart into plain ones."""

    def one(first: mx.array, *others: mx.array | None) -> mx.array:
        result: mx.array = mx.depends(mx.abs(first), [array for array in others if array is not None])
        return result

    monkeypatch.setattr(mx.fast, "rms_norm", lambda x, weight, eps: one(x, weight))
    monkeypatch.setattr(mx.fast, "rope", lambda x, *args, **kwargs: one(x))
    monkeypatch.setattr(mx.fast, "scaled_dot_product_attention", lambda q, k, v, **kwargs: one(q, k, v))
    monkeypatch.setattr(edge.model.moe, "swiglu", one)
