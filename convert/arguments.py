"""What the command lines of all converters have in common; light to import, so that --help answers at once."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path


def add_source_arguments(parser: argparse.ArgumentParser, *, can_stream: bool = True, is_plan: bool = False) -> None:
    """Add SOURCE and how it is opened.

    Args:
        parser: Of the command.
        can_stream: Whether the command reads weights, which --stream downloads one shard at a time.
        is_plan: Whether it writes nothing, so that a published name will do.
    """
    rest = "; or a published name, such as 30b" if is_plan else ""
    parser.add_argument(
        "source", metavar="SOURCE", help=f"model folder or hub id org/name: bf16 or FP8, any layout{rest}"
    )
    if can_stream:
        parser.add_argument(
            "--stream", action="store_true", help="download a hub id shard by shard, removing each once used"
        )
    parser.add_argument("--adapter", metavar="FOLDER", help="LoRA adapter to merge (default: one beside the weights)")
    parser.add_argument("--revision", metavar="REV", help="branch, tag or commit of a hub id")
    parser.add_argument(
        "--from-packed",
        action="store_true",
        help="take a source that is packed already; its losses add to the new ones",
    )


def add_calibration_argument(parser: argparse.ArgumentParser, *, purpose: str) -> None:
    """Add --calibration.

    Args:
        parser: Of the command.
        purpose: What it does there, after "of `convert calibrate`: ".
    """
    parser.add_argument(
        "--calibration",
        metavar="FOLDER",
        type=Path,
        help=f"what the model's matrices saw, of `convert calibrate`: {purpose}",
    )


def next_command(model: Path) -> str:
    """Write the command that runs an output."""
    return f"python -m edge.chat --model {shlex.quote(str(model))}"
