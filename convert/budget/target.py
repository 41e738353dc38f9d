"""Turn what a user has into a number of bytes: a size, another recipe's size, or a Mac with the work it shall do.

In: the texts of --size, --fit, --context, --kv-bits and --image. Out: a `Target` with the bytes that the weights may
take. What a Mac has left for weights is what `edge.plan` counts: its usable memory without keys and values, the
prompt's chunk, the picture and its decoding at their worst moment.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from convert.disk import describe_bytes, describe_least
from edge.errors import UsageError
from edge.units import byte_count, token_count

if TYPE_CHECKING:
    from edge.config import ModelConfig
    from edge.plan.estimate import Task
    from edge.plan.machine import Machine

USUAL_CONTEXT = 8192
USUAL_IMAGE = "1024x1024"
_LEAST_BARE = 10**6  # a smaller number without a unit is GB that were meant
_WORK = ("context", "kv_bits", "image")


@dataclass(frozen=True, slots=True)
class Target:
    """A budget.

    Attributes:
        budget: Bytes that the weights may take, headers included.
        words: What was asked for.
        task: The work of --fit; None for a size.
        machine: The Mac of --fit; None for a size.
    """

    budget: int
    words: str
    task: Task | None = None
    machine: Machine | None = None

    def refused(self, error: TooSmallError, *, advice: str = "") -> UsageError:
        """Say that the smallest files are larger, and what to do.

        Args:
            error: What they take.
            advice: What would make them fit a Mac.
        """
        if self.machine is None:
            return UsageError(f"{self.words}: {error} Give at least that, or take a smaller model.")
        left = describe_bytes(self.budget)
        return UsageError(f"{self.words} leaves {left}: {error} Take a smaller model, or more memory.{advice}")


class TooSmallError(UsageError):
    """The smallest formats of a model take more than a budget."""

    def __init__(self, what: str, least_bytes: int) -> None:
        super().__init__(f"the smallest {what} of this model take {describe_least(least_bytes)}.")


def add_budget_arguments(parser: argparse.ArgumentParser, *, what: str, such_as: str) -> None:
    """Describe --size and --fit.

    Args:
        parser: Of a converter.
        what: What is chosen for every tensor.
        such_as: What has a size too, with an example.
    """
    group = parser.add_argument_group(
        "bits under a budget", f"Choose the {what} of every tensor so that the files lose as little as they can."
    )
    group.add_argument("--size", metavar="SIZE", help=f"take at most so much, such as 16.5GB, or as much as {such_as}")
    group.add_argument("--fit", metavar="MAC", help='run on a Mac with so much memory, such as "24 GB" or "M4 16 GB"')
    group.add_argument(
        "--context",
        metavar="N",
        type=token_count,
        help=f"with --fit: tokens of prompt and answer, such as 32k (default: {USUAL_CONTEXT})",
    )
    group.add_argument(
        "--kv-bits", metavar="8|4", type=int, choices=(8, 4), help="with --fit: bits of keys and values (default: 16)"
    )
    group.add_argument(
        "--image", metavar="WxH", help=f"with --fit: the largest picture in pixels, or none (default: {USUAL_IMAGE})"
    )


def is_budget_asked(arguments: argparse.Namespace) -> bool:
    """Tell whether bits shall be chosen under a budget.

    Raises:
        UsageError: Both ways are asked for, or work without a Mac to do it.
    """
    if arguments.size is not None and arguments.fit is not None:
        raise UsageError("--size and --fit are two ways to say the same. Leave one out.")
    if arguments.fit is None:
        given = [name for name in _WORK if getattr(arguments, name) is not None]
        if given:
            raise UsageError(f"--{given[0].replace('_', '-')} says what a Mac shall do: add --fit, such as '24 GB'.")
    return arguments.size is not None or arguments.fit is not None


def refuse_formats(given: Sequence[tuple[str, object]]) -> None:
    """Refuse options that choose formats themselves.

    Raises:
        UsageError: One was given.
    """
    for flag, value in given:
        if value is not None:
            raise UsageError(f"{flag} chooses formats, and so does a budget. Leave one out.")


def budget_words(arguments: argparse.Namespace) -> list[str]:
    """Return the words of a budget on the command line, for the card; empty without one."""
    flags = ("size", "fit", "context", "kv_bits", "image")
    given = [(flag, getattr(arguments, flag)) for flag in flags]
    return [word for flag, value in given if value is not None for word in (f"--{flag.replace('_', '-')}", str(value))]


def read_target(
    arguments: argparse.Namespace, config: ModelConfig, *, sizes: Mapping[str, Callable[[], int]] | None = None
) -> Target:
    """Read the budget of a command line.

    Args:
        arguments: Of the command line.
        config: The model.
        sizes: What has a size by name, besides the recipes.

    Raises:
        UsageError: A value cannot be read, or nothing is left for weights.
    """
    if arguments.size is not None:
        return Target(read_size(arguments.size, config, sizes=sizes), f"--size {arguments.size}")
    from edge.memory import GB
    from edge.plan.estimate import estimate

    machine, task = _machine(arguments.fit), _task(arguments, config)
    beside = estimate(config, task, weight_bytes=0, precision=machine.precision).peak_bytes
    budget = machine.usable_bytes - beside
    if budget <= 0:
        raise UsageError(
            f"--fit {arguments.fit!r}: {machine.usable_bytes / GB:.1f} GB are usable there, and the work takes "
            f"{beside / GB:.1f} GB beside the weights. Take a shorter --context, --kv-bits 8, or a smaller --image."
        )
    return Target(budget, f"--fit {arguments.fit!r}", task, machine)


def read_size(text: str, config: ModelConfig, *, sizes: Mapping[str, Callable[[], int]] | None = None) -> int:
    """Read a size: bytes with a unit, or the name of a recipe (or type) for the bytes of its files.

    Args:
        text: Of the command line.
        config: The model.
        sizes: What has a size by name, besides the recipes; counted when it is asked for.

    Raises:
        UsageError: It is neither.
    """
    from convert.mlx.layout import lay_out_folder
    from edge.plan.recipes import RECIPES, recipe_formats

    name = text.strip()
    if sizes is not None and name.upper() in sizes:
        return sizes[name.upper()]()
    if name.lower() in RECIPES:
        return lay_out_folder(config, recipe_formats(config, name.lower())).file_bytes
    try:
        size = byte_count(text)
    except ValueError:
        raise UsageError(
            f"--size {text!r}: expected a size such as 16.5GB or 900MB, or one of "
            f"{', '.join([*(sizes or ()), *RECIPES])}."
        ) from None
    if size < _LEAST_BARE and name.isdecimal():
        raise UsageError(f"--size {text}: {size:,} bytes hold no model. Say {name}GB or {name}MB.")
    return size


def published(source: str) -> tuple[str, ModelConfig] | None:
    """Find a published model by its short name, such as 30b, so that it can be planned from shapes alone."""
    from edge.plan.family import find_published

    return None if "/" in source or Path(source).expanduser().exists() else find_published(source)


def say_published(size: str) -> str:
    """Say that a plan rests on no file."""
    return f"Qwen3-VL-{size} as it is published, from its shapes alone."


def _machine(text: str) -> Machine:
    from edge.plan.machine import parse_mac

    try:
        return parse_mac(text)
    except UsageError:
        raise UsageError(
            f"--fit {text!r}: expected a size of memory at the end, such as '24 GB': whole GB from 4 to 2048."
        ) from None


def _task(arguments: argparse.Namespace, config: ModelConfig) -> Task:
    from edge.config_context import MOST_STRETCH
    from edge.plan.__main__ import parse_size
    from edge.plan.estimate import Task

    own = config.text.max_position_embeddings
    most = MOST_STRETCH * own
    context = min(USUAL_CONTEXT, own) if arguments.context is None else arguments.context
    if not 1 <= context <= most:
        raise UsageError(f"--context {context}: expected 1 to {most} tokens.")
    image = USUAL_IMAGE if arguments.image is None else arguments.image
    return Task(context, arguments.kv_bits, None if image.strip().lower() == "none" else parse_size(image))
