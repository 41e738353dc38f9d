"""Turn a budget on the command line into the formats of an MLX folder, and say what was decided and why.

In: the command line, the model, its weights where they are at hand. Out: `Settings` with a format for every parameter,
and lines for the plan.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from convert.budget.spend import Market, Spending, open_market, spend
from convert.budget.target import Target, TooSmallError, read_target
from convert.disk import describe_bytes
from edge.plan.advice import advise
from edge.plan.checkpoint import Planned, Variant
from edge.plan.recipes import Recipe, format_name
from edge.plan.report import describe

if TYPE_CHECKING:
    from convert.budget.sensitivity import Weights
    from convert.mlx.run import Settings
    from edge.checkpoint.folder import Checkpoint
    from edge.config import ModelConfig

RECIPE_NAME = "budget"


@dataclass(frozen=True, slots=True)
class Budgeted:
    """What a budget came to."""

    target: Target
    market: Market
    spending: Spending

    def lines(self, name: str, config: ModelConfig) -> list[str]:
        """Say what was decided, on what grounds, and whether it fits.

        Args:
            name: Of the model.
            config: The model.
        """
        tensor_bytes, budget = self.spending.tensor_bytes, self.target.budget
        lines = [
            f"{self.target.words}: {describe_bytes(budget)} for weights, {describe_bytes(tensor_bytes)} of tensors."
        ]
        lines.append(self.market.basis())
        if self.market.costs.is_measured and self.market.is_measured:
            solution = self.spending.solution
            lines.append(
                f"Predicted KL of small errors: {solution.loss:.4f} nats per token; no choice of these formats under "
                f"this budget is predicted below {solution.bound:.4f}."
            )
        if self.spending.is_everything:
            lines.append("Every matrix has its best format; the rest of the budget stays free.")
        if self.target.task is not None and self.target.machine is not None:
            model = Planned(name, config, ())
            found, _ = describe(model, Variant(RECIPE_NAME, tensor_bytes), self.target.task, self.target.machine)
            lines += ["", *found]
        return lines


def choose_under_budget(
    arguments: argparse.Namespace,
    config: ModelConfig,
    settings: Settings,
    *,
    checkpoint: Checkpoint | None,
    weights: Weights | None = None,
) -> tuple[Settings, Budgeted]:
    """Choose formats for the budget of a command line.

    Args:
        arguments: Of the command line.
        config: The model.
        settings: Everything else that was asked for; its overrides stay as they are.
        checkpoint: The weights; None where only shapes are known.
        weights: The calibration.

    Raises:
        UsageError: The budget cannot be read or met.
    """
    target = read_target(arguments, config)
    market = open_market(
        config, checkpoint=checkpoint, weights=weights, overrides=settings.overrides, is_searched=settings.is_searched
    )
    try:
        spending = spend(market, budget=target.budget, shard_bytes=settings.shard_bytes)
    except TooSmallError as error:
        raise target.refused(error, advice=_advice(target, config, market)) from None
    base = spending.base
    recipe = Recipe(RECIPE_NAME, f"Bits where they matter most, for {target.words}.", format_name(base))
    return replace(settings, recipe=recipe, base=base, choices=spending.choices), Budgeted(target, market, spending)


def _advice(target: Target, config: ModelConfig, market: Market) -> str:
    """Say what would make the smallest formats fit a Mac."""
    if target.task is None or target.machine is None:
        return ""
    found = advise(config, target.task, weight_bytes=market.least_bytes, machine=target.machine)
    return f" What would fit: {'; or '.join(found)}." if found else ""
