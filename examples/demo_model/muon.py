"""Muon for stacks of matrices: momentum, then an orthogonalized update (Newton-Schulz), batched over equal shapes."""

from __future__ import annotations

from collections import defaultdict
from typing import Any  # parameter groups

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


class Muon(torch.optim.Optimizer):
    """Optimizer for parameters (a, b) or (n, a, b); every matrix of a stack is its own matrix."""

    def __init__(
        self, params: list[dict[str, Any]], lr: float = 0.01, momentum: float = 0.95, decay: float = 0.01
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # no closure is ever given
        """Apply one update."""
        for group in self.param_groups:
            stacks: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = defaultdict(list)
            for param in group["params"]:
                if param.grad is None:
                    continue
                state = self.state[param]
                if not state:
                    state["buffer"] = torch.zeros_like(param)
                state["buffer"].lerp_(param.grad, 1 - group["momentum"])
                update = param.grad.lerp(state["buffer"], group["momentum"])
                shape = (param.shape[-2], param.shape[-1])
                stacks[shape].append((param, update.reshape(-1, *shape)))
            for (rows, cols), items in stacks.items():
                updates = orthogonalize(torch.cat([update for _, update in items]))
                scale = group["lr"] * max(rows, cols) ** 0.5 * 0.2
                for (param, _), part in zip(items, torch.split(updates, [len(u) for _, u in items]), strict=True):
                    param.mul_(1 - group["lr"] * group["decay"])
                    param.add_(part.to(param.dtype).view(param.shape), alpha=-scale)


def orthogonalize(matrices: Tensor, steps: int = 5) -> Tensor:
    """Bring the singular values of each matrix (n, a, b) near one."""
    a, b, c = COEFFICIENTS
    x: Tensor = matrices.bfloat16()
    if x.shape[1] > x.shape[2]:
        x = x.transpose(1, 2)
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    for _ in range(steps):
        square = x @ x.transpose(1, 2)
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x.transpose(1, 2) if matrices.shape[1] > matrices.shape[2] else x
