"""Forms in which a matrix may be stored: packed, and joined projections in unlike parts."""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx
import mlx.nn as nn

from edge.config import LayerQuantization
from edge.model.moe import row_indexes
from edge.packed_experts import UNPACK_FROM_PAIRS, is_packed_slow, multiply_unpacked
from edge.packed_products import multiply_chosen_packed, multiply_packed
from edge.products import multiply


class QuantizedLinear(nn.QuantizedLinear):
    """A packed matrix (O, I), and a bias (O,) or none."""

    def __call__(self, rows: mx.array) -> mx.array:
        """Map (..., I) to (..., O)."""
        product = _multiply_by(self, rows)
        return product + self["bias"] if "bias" in self else product


class QuantizedEmbedding(nn.QuantizedEmbedding):
    """A packed row for every token, (V, D)."""

    def as_linear(self, rows: mx.array) -> mx.array:
        """Multiply (..., D) by every token's row: (..., V)."""
        return _multiply_by(self, rows)


class QuantizedSwitchLinear(nn.Module):
    """One packed matrix per expert: `weight` uint32, `scales`, and `biases` in the affine mode."""

    def __init__(self, input_size: int, output_size: int, num_experts: int, setting: LayerQuantization) -> None:
        super().__init__()
        self.setting = setting
        zeros = mx.zeros((num_experts, output_size, input_size))
        packed = mx.quantize(zeros, group_size=setting.group_size, bits=setting.bits, mode=setting.mode)
        self.weight, self.scales = packed[0], packed[1]
        if setting.mode == "affine":
            self.biases = packed[2]
        self.freeze()

    def __call__(self, rows: mx.array, experts: mx.array, is_sorted: bool, num_tokens: int) -> mx.array:
        """Multiply rows (..., 1, I) by the matrices of their experts, as `SwitchLinear` does."""
        biases = self.biases if self.setting.mode == "affine" else None
        if is_sorted and experts.size >= UNPACK_FROM_PAIRS and is_packed_slow():
            return multiply_unpacked(rows, self.weight, self.scales, biases, experts, setting=self.setting)
        return multiply_chosen_packed(
            rows,
            self.weight,
            self.scales,
            biases,
            experts,
            form=self.setting,
            num_tokens=num_tokens,
            is_sorted=is_sorted,
            row_indexes=lambda: row_indexes(rows.shape[:-2], tuple(experts.shape)),
        )


class Parts(nn.Module):
    """A projection whose outputs are stored in several matrices, since they are packed in unlike ways."""

    def __init__(self, parts: Sequence[nn.Module]) -> None:
        super().__init__()
        self.parts = list(parts)

    def __call__(self, rows: mx.array, *choice: mx.array | bool | int) -> mx.array:
        """Return the outputs of all parts side by side; `choice` is what a `SwitchLinear` takes beside its rows."""
        return mx.concatenate([part(rows, *choice) for part in self.parts], axis=-1)


def project_to(module: nn.Module, rows: mx.array, start: int, stop: int) -> mx.array:
    """Compute some neighbouring outputs of a projection without bias, and no others.

    Args:
        module: A linear layer, plain or packed, or `Parts` of these.
        rows: (..., I).
        start: The first output.
        stop: The first output after them.

    Returns:
        (..., stop - start).
    """
    if isinstance(module, Parts):
        outputs, first = [], 0
        for part in module.parts:
            size = part.weight.shape[0]
            low, high = max(start - first, 0), min(stop - first, size)
            if low < high:
                outputs.append(project_to(part, rows, low, high))
            first += size
        return mx.concatenate(outputs, axis=-1)
    if isinstance(module, nn.QuantizedLinear):
        return _multiply_by(module, rows, slice(start, stop))
    plain: mx.array = module.weight
    return multiply(rows, plain[start:stop])


def _multiply_by(
    module: nn.QuantizedLinear | nn.QuantizedEmbedding, rows: mx.array, outputs: slice | None = None
) -> mx.array:
    """Multiply rows by a module's packed matrix, or by these outputs of it."""
    arrays = (module["weight"], module["scales"], module.get("biases"))
    if outputs is not None:
        arrays = (arrays[0][outputs], arrays[1][outputs], None if arrays[2] is None else arrays[2][outputs])
    return multiply_packed(rows, *arrays, group_size=module.group_size, bits=module.bits, mode=module.mode)
