"""The graph of a function: its operations in order, what launches a kernel, and no waiting inside."""

from __future__ import annotations

from collections import Counter

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from edge.bench.graph import Operation, gpu_kernels, launches, trace


def test_operations_come_with_their_types_and_shapes() -> None:
    found = trace(lambda x: (x @ x.T).astype(mx.bfloat16), mx.zeros((2, 3)))
    assert [operation.name for operation in found] == ["Transpose", "Matmul", "AsType"]
    assert found[-1] == Operation("AsType", (mx.bfloat16,), ((2, 2),))
    assert launches(found) == Counter({"Matmul": 1, "AsType": 1})


def test_waiting_for_a_value_is_an_error() -> None:
    with pytest.raises(ValueError, match="eval"):
        trace(lambda x: x * float(np.array(x.sum())), mx.zeros((2, 3)))


def test_fused_kernels_are_one_operation_each_and_come_back_afterwards() -> None:
    weight, original = mx.array([1.0, 2.0, 3.0, 4.0]), mx.fast.rms_norm
    with gpu_kernels():
        found = launches(trace(lambda x: mx.fast.rms_norm(x, weight, 1e-6), mx.zeros((2, 4))))
    assert found == Counter({"norm": 1})
    assert mx.fast.rms_norm is original


def test_an_unpacked_row_is_one_kernel_behind_its_parts() -> None:
    embedding = nn.QuantizedEmbedding(8, 64, group_size=32, bits=4)
    mx.eval(embedding.parameters())
    with gpu_kernels():
        operations = trace(embedding, mx.zeros((1, 1), dtype=mx.int32))
    assert launches(operations) == Counter({"Gather": 3, "dequantize": 1})
    assert operations[-1].shapes == (embedding(mx.zeros((1, 1), dtype=mx.int32)).shape,)
