"""The linear layers of the model: those of MLX, multiplied by whoever does it sooner (`edge.products`)."""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn

from edge.products import multiply


class Linear(nn.Linear):
    """A matrix (O, I), and a bias (O,) or none."""

    def __call__(self, rows: mx.array) -> mx.array:
        """Map (..., I) to (..., O)."""
        return multiply(rows, self.weight, self.get("bias"))


class Embedding(nn.Embedding):
    """A row for every token, (V, D)."""

    def as_linear(self, rows: mx.array) -> mx.array:
        """Multiply (..., D) by every token's row: (..., V)."""
        return multiply(rows, self.weight)
