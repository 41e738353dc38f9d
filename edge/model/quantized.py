"""Forms in which a projection may be stored: packed expert matrices, and joined projections of unlike parts."""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx
import mlx.nn as nn

from edge.config import LayerQuantization
from edge.model.moe import row_indexes
from edge.model.unpacked import UNPACK_FROM_PAIRS, is_packed_slow, multiply_unpacked
from edge.products import multiply


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

    def __call__(self, rows: mx.array, experts: mx.array, is_sorted: bool) -> mx.array:
        """Multiply rows (..., 1, I) by the matrices of their experts, as `SwitchLinear` does."""
        biases = self.biases if self.setting.mode == "affine" else None
        if is_sorted and experts.size >= UNPACK_FROM_PAIRS and is_packed_slow():
            return multiply_unpacked(rows, self.weight, self.scales, biases, experts, setting=self.setting)
        return mx.gather_qmm(
            rows,
            self.weight,
            self.scales,
            biases,
            lhs_indices=None if is_sorted else row_indexes(rows.shape[:-2], tuple(experts.shape)),
            rhs_indices=experts,
            transpose=True,
            group_size=self.setting.group_size,
            bits=self.setting.bits,
            mode=self.setting.mode,
            sorted_indices=is_sorted,
        )


class Parts(nn.Module):
    """A projection whose outputs are stored in several matrices, since they are packed in unlike ways."""

    def __init__(self, parts: Sequence[nn.Module]) -> None:
        super().__init__()
        self.parts = list(parts)

    def __call__(self, rows: mx.array, *choice: mx.array | bool) -> mx.array:
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
        biases = module.get("biases")
        weight: mx.array = module.weight
        return mx.quantized_matmul(
            rows,
            weight[start:stop],
            scales=module.scales[start:stop],
            biases=None if biases is None else biases[start:stop],
            transpose=True,
            group_size=module.group_size,
            bits=module.bits,
            mode=module.mode,
        )
    plain: mx.array = module.weight
    return multiply(rows, plain[start:stop])
