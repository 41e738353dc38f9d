"""Feed-forward parts of the decoder: the dense SwiGLU, the router and the sparse block.

`SwitchLinear` and its sorting trick follow mlx-lm's `switch_layers`; they are written here because importing
mlx-lm pulls in transformers (1.4 s).
Source: mlx-lm 0.32.2 mlx_lm/models/switch_layers.py, differs in: no biases of a layer, rows stay flat.
"""

from __future__ import annotations

import math
from functools import lru_cache

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from edge.config import MoeConfig
from edge.model.elementwise import swiglu
from edge.model.linear import Linear
from edge.products import multiply_chosen

SORT_FROM_ROWS = 64
"""From this many (token, expert) pairs on, rows are ordered by expert so that each expert's weights are read once."""


class MLP(nn.Module):
    """Dense SwiGLU; files keep the two halves of `gate_up_proj` apart."""

    def __init__(self, hidden_size: int, intermediate_size: int) -> None:
        super().__init__()
        self.gate_up_proj = Linear(hidden_size, 2 * intermediate_size, bias=False)
        self.down_proj = Linear(intermediate_size, hidden_size, bias=False)

    def __call__(self, hidden: mx.array, *, residual: mx.array) -> mx.array:
        """Map (B, L, D) to (B, L, D), and add it to the residual of the same shape."""
        gate, up = mx.split(self.gate_up_proj(hidden), 2, axis=-1)
        return residual + self.down_proj(swiglu(gate, up))


class SwitchLinear(nn.Module):
    """One matrix per expert, (E, O, I). On the CPU MLX multiplies float32 only."""

    def __init__(self, input_size: int, output_size: int, num_experts: int) -> None:
        super().__init__()
        self.weight = mx.zeros((num_experts, output_size, input_size))

    def __call__(self, rows: mx.array, experts: mx.array, is_sorted: bool, num_tokens: int) -> mx.array:
        """Multiply rows by the matrices of their experts.

        Args:
            rows: (..., 1, I); the leading axes are the first ones of `experts`, which chooses behind them.
            experts: Expert of each row, unsigned integers.
            is_sorted: Whether `experts` goes up.
            num_tokens: Tokens that the rows are of: those of packed experts are a prompt's or a decode step's.

        Returns:
            (..., 1, O) with the axes of `experts` in front.
        """
        return multiply_chosen(
            rows,
            self.weight,
            experts,
            is_sorted=is_sorted,
            row_indexes=lambda: row_indexes(rows.shape[:-2], tuple(experts.shape)),
        )


class SwitchGLU(nn.Module):
    """SwiGLU with the experts' matrices chosen per row; files keep the two halves of `gate_up_proj` apart."""

    def __init__(self, hidden_size: int, intermediate_size: int, num_experts: int) -> None:
        super().__init__()
        self.gate_up_proj = SwitchLinear(hidden_size, 2 * intermediate_size, num_experts)
        self.down_proj = SwitchLinear(intermediate_size, hidden_size, num_experts)

    def __call__(self, rows: mx.array, experts: mx.array) -> mx.array:
        """Send every row through each of its experts.

        Args:
            rows: (R, 1, D).
            experts: (R, 1, A) expert numbers.

        Returns:
            (R, A, D), not yet weighted.
        """
        num_rows, _, num_chosen = experts.shape
        if experts.size < SORT_FROM_ROWS:
            return self.through_experts(rows, experts, is_sorted=False, num_tokens=num_rows).squeeze((1, -2))
        flat = experts.flatten()
        order = mx.argsort(flat)
        sorted_rows = rows[order // num_chosen]  # (R * A, 1, D)
        outputs = self.through_experts(sorted_rows, flat[order], is_sorted=True, num_tokens=num_rows).squeeze(-2)
        return mx.unflatten(outputs[mx.argsort(order)], 0, (num_rows, num_chosen))  # (R, A, D)

    def through_experts(self, rows: mx.array, experts: mx.array, *, is_sorted: bool, num_tokens: int) -> mx.array:
        """Compute the experts' SwiGLU on rows (..., 1, D) of some tokens."""
        gate, up = mx.split(self.gate_up_proj(rows, experts, is_sorted, num_tokens), 2, axis=-1)
        return self.down_proj(swiglu(gate, up), experts, is_sorted, num_tokens)


@lru_cache(maxsize=64)
def row_indexes(batch_shape: tuple[int, ...], shape: tuple[int, ...]) -> mx.array:
    """Return the flat row of each (token, expert) pair; left out, MLX launches a kernel per product to make it.

    With sorted experts it has to be left out: MLX takes its kernel for sorted experts only then (0.32.4).
    """
    chosen_axes = len(shape) - len(batch_shape)
    rows = np.arange(math.prod(batch_shape), dtype=np.uint32).reshape(*batch_shape, *[1] * chosen_axes)
    return mx.array(np.broadcast_to(rows, shape))


class SparseBlock(nn.Module):
    """Router and experts of one decoder layer."""

    def __init__(self, hidden_size: int, moe: MoeConfig) -> None:
        super().__init__()
        self.moe = moe
        self.gate = Linear(hidden_size, moe.num_experts, bias=False)
        self.switch_mlp = SwitchGLU(hidden_size, moe.intermediate_size, moe.num_experts)

    def __call__(self, hidden: mx.array, *, residual: mx.array) -> mx.array:
        """Map (B, L, D) to (B, L, D), and add it to the residual of the same shape."""
        *batch_shape, width = hidden.shape
        shape = (math.prod(batch_shape), 1, width)  # a length of -1 would make an operation of every reshape to itself
        rows, residuals = hidden.reshape(shape), residual.reshape(shape)  # (R, 1, D)
        experts, weights = route(self.gate(rows), self.moe.experts_per_token)
        outputs = self.switch_mlp(rows, experts)  # (R, A, D)
        # The sum over the experts and the residual's in one kernel.
        return mx.addmm(residuals, weights, outputs).reshape(hidden.shape)


def route(logits: mx.array, experts_per_token: int) -> tuple[mx.array, mx.array]:
    """Choose the experts of each row and their weights.

    The reference takes a softmax over all experts, keeps the largest and divides by their sum; that equals a
    softmax over the chosen logits.

    Args:
        logits: (..., E).
        experts_per_token: Number of experts to keep, A.

    Returns:
        Experts (..., A) uint32 and weights (..., A) in the type of the logits, in no particular order.
    """
    experts = mx.argpartition(logits, kth=-experts_per_token, axis=-1)[..., -experts_per_token:]
    chosen = mx.take_along_axis(logits, experts, axis=-1)
    return experts, mx.softmax(chosen, axis=-1, precise=True)  # precise: the reference's softmax is fp32
