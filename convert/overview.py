"""`python -m convert plan SOURCE`: every output that can be made, its size, and the Macs it fits."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from convert.arguments import add_source_arguments

if TYPE_CHECKING:
    from convert.plan import Stored
    from edge.config import ModelConfig

_EPILOG = """\
A number under a Mac's memory is the context in thousands of tokens that fits beside the weights (16-bit cache, one
picture of 1024 x 1024, nothing else large running); - does not fit, + holds the model's whole context.
exit status: 0 done, 1 failure (one line on stderr), 2 wrong usage, 130 interrupted."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.epilog = _EPILOG
    add_source_arguments(parser, can_stream=False, is_plan=True)


def run(arguments: argparse.Namespace) -> int:
    """Print the table; return the exit code.

    Raises:
        EdgeError: The source cannot be converted.
    """
    from convert.budget.target import published, say_published
    from convert.opening import opened_for_plan

    found = published(arguments.source)
    if found is not None:
        print("\n".join([say_published(found[0]), "", *describe_outputs(found[1])]))
        return 0
    with opened_for_plan(arguments) as source:
        print("\n".join(describe_outputs(source.checkpoint.config)))
    return 0


def describe_outputs(config: ModelConfig) -> list[str]:
    """Write a line for every recipe of `convert mlx` and every type of `convert gguf`."""
    from convert.plan import MAC_GIB, bits_per_weight, mac_contexts, size_unit

    outputs = [*_mlx_outputs(config), *_gguf_outputs(config)]
    unit, unit_name = size_unit(max(sum(item.num_bytes for item in stored) for _, stored in outputs))
    macs = "".join(f"{gib:>5}" for gib in MAC_GIB)
    lines = [f"{'output':26} {unit_name:>8} {'bits/weight':>11}  Mac{macs} GB"]
    for name, stored in outputs:
        weight_bytes = sum(item.num_bytes for item in stored)
        shown = "".join(
            f"{_describe(tokens, config.text.max_position_embeddings):>5}"
            for tokens in mac_contexts(config, weight_bytes).values()
        )
        lines.append(f"{name:26} {weight_bytes / unit:8.2f} {bits_per_weight(stored):11.2f}     {shown}")
    return lines


def _mlx_outputs(config: ModelConfig) -> Iterator[tuple[str, list[Stored]]]:
    from convert.mlx.layout import lay_out_folder
    from edge.plan.recipes import RECIPES, recipe_formats

    for name in RECIPES:
        yield f"mlx --recipe {name}", lay_out_folder(config, recipe_formats(config, name)).stored()


def _gguf_outputs(config: ModelConfig) -> Iterator[tuple[str, list[Stored]]]:
    """Text and F16 projector together; mixed layers, which llama.cpp does not run, have no line."""
    from convert.gguf.plan import describe_types
    from convert.gguf.types import FILE_TYPES, PROJECTOR_TYPES

    text = config.text
    if text.moe is not None and not all(text.is_sparse_layer(index) for index in range(text.num_layers)):
        return
    for file_type in FILE_TYPES.values():
        yield f"gguf --type {file_type.name}", describe_types(config, file_type, PROJECTOR_TYPES["F16"])


def _describe(tokens: int, most: int) -> str:
    if tokens == 0:
        return "-"
    return "+" if tokens >= most else f"{tokens // 1024}k"
