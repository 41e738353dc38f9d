"""Say what would fit where a task does not: fewer bits, a shorter context, packed keys and values, smaller pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from edge.config import ModelConfig
from edge.errors import ConfigError
from edge.memory import GB
from edge.plan.estimate import Task, estimate
from edge.plan.machine import Machine
from edge.plan.recipes import LEAST_LOSS_FIRST
from edge.plan.weights import recipe_bytes

LEAST_CONTEXT = 2048
_SIDES = (4096, 3072, 2048, 1536, 1024, 512)


def advise(config: ModelConfig, task: Task, *, weight_bytes: int, machine: Machine) -> list[str]:
    """List changes, each of which alone makes the task fit, or one of all together; empty when nothing has to or can.

    Args:
        config: The model.
        task: What is asked.
        weight_bytes: Of its weights as they are.
        machine: Where it should run.
    """

    def fits(changed: Task, weights: int = weight_bytes) -> bool:
        try:
            found = estimate(config, changed, weight_bytes=weights, precision=machine.precision)
        except ConfigError:
            return False  # heads that cannot be packed
        return found.peak_bytes <= machine.usable_bytes

    if fits(task):
        return []
    found = []
    recipe = next((name for name in _by_loss(config) if fits(task, _recipe(config, name, weight_bytes))), None)
    if recipe is not None:
        found.append(f"fewer bits: {recipe}")
    if task.kv_bits is None and fits(replace(task, kv_bits=8)):
        found.append("--kv-bits 8")
    context = most_context(task, fits)
    if LEAST_CONTEXT <= context < task.context_tokens:
        found.append(f"--context {context}")
    if task.image is not None:
        side = next((side for side in _SIDES if side < max(task.image) and fits(_shrunk(task, side))), None)
        if side is not None:
            found.append(f"pictures of at most {side}x{side} pixels")
    return found or _together(config, task, weight_bytes, fits)


def _together(config: ModelConfig, task: Task, weight_bytes: int, fits: Callable[[Task, int], bool]) -> list[str]:
    """Change everything at once, as little of the weights as will do."""
    small = replace(task, kv_bits=task.kv_bits or 8, context_tokens=min(task.context_tokens, 2 * LEAST_CONTEXT))
    if task.image is not None:
        small = replace(small, image=(min(task.image[0], 1024), min(task.image[1], 1024)))
    for name in _by_loss(config):
        if fits(small, _recipe(config, name, weight_bytes)):
            parts = [name, f"--kv-bits {small.kv_bits}", f"--context {small.context_tokens}"]
            if small.image is not None:
                parts.append(f"pictures of at most {small.image[1]}x{small.image[0]} pixels")
            return [f"all together: {', '.join(parts)}"]
    return []


def most_context(task: Task, fits: Callable[[Task], bool]) -> int:
    """Find the longest context that fits, in steps of 256 tokens; 0 when none does."""
    low, high = 0, task.context_tokens // 256
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(replace(task, context_tokens=256 * middle)) else (low, middle - 1)
    return 256 * low


def _by_loss(config: ModelConfig) -> list[str]:
    """Return the packed recipes from the least loss to the most, without those that a better one is no larger than."""
    found: list[str] = []
    for name in LEAST_LOSS_FIRST:
        if name != "bf16" and all(recipe_bytes(config, name) < recipe_bytes(config, other) for other in found):
            found.append(name)
    return found


def _recipe(config: ModelConfig, name: str, weight_bytes: int) -> int:
    """Return a recipe's bytes; no help unless it is smaller than the weights there are."""
    found = recipe_bytes(config, name)
    return found if found < weight_bytes else weight_bytes


def _shrunk(task: Task, side: int) -> Task:
    return replace(task, image=(side, side))


def fitting_recipes(config: ModelConfig, *, available: int) -> str:
    """Say in a sentence which recipe of this model would fit; empty when none does."""
    name = next((name for name in _by_loss(config) if recipe_bytes(config, name) <= available), None)
    if name is None:
        return ""
    return f" This model at {name} needs {recipe_bytes(config, name) / GB:.2f} GB; `python -m edge.plan` says more."
