"""Count what a forward asks of the device: operations by kind, kernel launches, and the types of all results.

In: a function that builds a graph. Out: its operations in order, without computing anything. A host synchronization
inside the function is an error here, so what can be traced has none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import mlx.core as mx

import edge.model.moe
import edge.model.rope
import edge.model.vision
import edge.model.vision_attention
from edge.products import by_mlx
from edge.records import dataclass

VIEWS = frozenset(
    {
        "Broadcast", "Depends", "ExpandDims", "Flatten", "Reshape", "Slice", "Split", "Squeeze", "Transpose",
        "Unflatten",
    }
)  # fmt: skip
"""Operations that only change shape and strides, at one new token."""
STAND_INS = {
    "Abs": "norm", "Ceil": "attention", "Floor": "activation", "Round": "dequantize", "Sign": "rotation",
}  # fmt: skip
"""What stands for a fused kernel -> what the kernel does; no forward has these operations themselves."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a graph.

    Attributes:
        name: MLX's name of it.
        dtypes: Types of its results.
        shapes: Their shapes.
    """

    name: str
    dtypes: tuple[mx.Dtype, ...]
    shapes: tuple[tuple[int, ...], ...]


def trace(function: Callable[..., object], *inputs: mx.array) -> list[Operation]:
    """List the operations of a function of arrays, in order.

    Args:
        function: Returns an array or some; it is called once, and may not read a value.
        inputs: Arrays of the shapes and types it is asked about; nothing is computed from them.

    Raises:
        ValueError: The function reads a value: it would wait for the device.
    """
    found: list[Operation] = []

    def take(part: dict[str, Any]) -> None:  # Any: MLX gives tuples of mixed types
        if part["type"] == "primitive":
            outputs = part["outputs"]
            dtypes, shapes = tuple(dtype for *_, dtype in outputs), tuple(tuple(shape) for _, shape, _ in outputs)
            found.append(Operation(part["name"], dtypes, shapes))

    with by_mlx():
        mx.export_function(take, function, *inputs)
    return found


def launches(operations: Iterable[Operation]) -> Counter[str]:
    """Count the operations that launch a kernel on a GPU, by name."""
    names = (operation.name for operation in operations)
    return Counter(STAND_INS.get(name, name) for name in names if name not in VIEWS)


@contextmanager
def gpu_kernels() -> Iterator[None]:
    """Show fused kernels as one operation each, as a GPU runs them; the CPU takes them apart into plain ones."""
    norm, attention, activation, unpacking, rotation = (
        _one(operation) for operation in (mx.abs, mx.ceil, mx.floor, mx.round, mx.sign)
    )  # the names of `STAND_INS`
    dequantize = mx.dequantize

    def unpacked(packed: mx.array, scales: mx.array, biases: mx.array | None, **form: Any) -> mx.array:
        if biases is None:  # scales of these modes are codes themselves
            return dequantize(packed, scales, biases, **form)
        one: mx.array = unpacking(scales[..., :1], packed, biases)
        return mx.broadcast_to(one, (*packed.shape[:-1], scales.shape[-1] * form["group_size"]))

    def turned(first: mx.array, *others: mx.array) -> mx.array:
        *rest, raw, _ = others
        return rotation(raw, first, *rest)

    patches: list[tuple[Any, str, Callable[..., object]]] = [  # Any: modules
        (mx, "dequantize", unpacked),
        (mx.fast, "rms_norm", lambda x, weight, eps: norm(x, weight)),
        (mx.fast, "layer_norm", lambda x, weight, bias, eps: norm(x, weight, bias)),
        (mx.fast, "scaled_dot_product_attention", lambda q, k, v, **_: attention(q, k, v)),
        (edge.model.moe, "swiglu", activation),
        (edge.model.vision, "gelu_erf", activation),
        (edge.model.vision, "gelu_tanh", activation),
        (edge.model.rope, "turn", turned),
        (edge.model.vision_attention, "rotate_halves", lambda one, two, *_: (rotation(one), rotation(two))),
    ]
    before = [getattr(place, name) for place, name, _ in patches]
    for place, name, stand_in in patches:
        setattr(place, name, stand_in)
    try:
        yield
    finally:
        for (place, name, _), original in zip(patches, before, strict=True):
            setattr(place, name, original)


def _one(operation: Callable[[mx.array], mx.array]) -> Callable[..., mx.array]:
    """Return a single operation in the place of a kernel, which needs all that the kernel needs."""

    def stand_in(first: mx.array, *others: mx.array | None) -> mx.array:
        result: mx.array = mx.depends(operation(first), [array for array in others if array is not None])
        return result

    return stand_in
