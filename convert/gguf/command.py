"""`python -m convert gguf SOURCE OUT.gguf --type Q4_K_M --mmproj f16`: read the command line, run, report."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from convert.gguf.types import FILE_TYPES, PROJECTOR_TYPES, choose_file_type
from edge.errors import UsageError

_UNITS = {"": 1, "M": 10**6, "G": 10**9}
_EPILOG = """\
examples:
  python -m convert gguf Qwen/Qwen3-VL-4B-Instruct Qwen3VL-4B-Instruct-Q4_K_M.gguf --type Q4_K_M --mmproj f16
  python -m convert gguf ./my-model out/my-model-Q8_0.gguf --type Q8_0 --dry-run

An interrupted conversion stays in OUT.gguf.partial; the same command goes on with it.
llama.cpp prepares pictures otherwise than the reference: it pads with black to the next multiple of 32 pixels and takes
8 to 4096 tokens a picture. Pictures whose sides are multiples of 32 go in unchanged."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.epilog = _EPILOG
    parser.add_argument("source", metavar="SOURCE", help="model folder (hub, FP8 or MLX) or hub id")
    parser.add_argument("out", metavar="OUT.gguf", type=Path, help="the text file; the projector goes beside it")
    parser.add_argument("--type", metavar="TYPE", default="Q4_K_M", help=f"one of {', '.join(FILE_TYPES)}")
    parser.add_argument(
        "--mmproj", metavar="TYPE", default="F16", help=f"one of {', '.join(PROJECTOR_TYPES)}, or none (default F16)"
    )
    parser.add_argument("--imatrix", metavar="FILE", type=Path, help="importance file of llama-imatrix, old or GGUF")
    parser.add_argument("--split-max-size", metavar="N[M|G]", help="cut the text file into parts of at most N bytes")
    parser.add_argument("--processes", metavar="N", type=int, help="worker processes (default: one per core)")
    parser.add_argument("--dry-run", action="store_true", help="print types and sizes, write nothing")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")


def run(arguments: argparse.Namespace) -> int:
    """Convert a checkpoint; return the exit code.

    Raises:
        EdgeError: What a user can cause.
    """
    file_type = choose_file_type(arguments.type)
    no_projector = arguments.mmproj.lower() == "none"
    projector_type = None if no_projector else choose_file_type(arguments.mmproj, PROJECTOR_TYPES)
    max_bytes = None if arguments.split_max_size is None else _read_size(arguments.split_max_size)
    num_processes = arguments.processes if arguments.processes is not None else _num_cores()
    if num_processes < 1:
        raise UsageError(f"--processes: expected 1 or more, found {num_processes}.")
    if arguments.out.suffix != ".gguf":
        raise UsageError(f"expected an output name that ends in .gguf, found {arguments.out}.")
    # Late: a wrong command line should not wait for them.
    import mlx.core as mx

    from convert.gguf.imatrix import read_importance
    from convert.gguf.plan import Wanted, make_plan
    from convert.gguf.report import describe_plan
    from convert.gguf.run import write_plan
    from convert.source import open_source
    from edge.weights.hub import resolve_model

    source = open_source(resolve_model(arguments.source), name=arguments.source, dtype=mx.float32, takes_packed=True)
    checkpoint = source.checkpoint
    wanted = Wanted(arguments.out, file_type, projector_type, max_bytes)
    if arguments.imatrix is None:
        plan = make_plan(checkpoint, wanted)
    else:
        importance = read_importance(arguments.imatrix)
        plan = make_plan(checkpoint, wanted, importance=importance, importance_path=arguments.imatrix)
    print(describe_plan(plan), flush=True)
    if arguments.dry_run:
        return 0
    num_kept = write_plan(plan, source, num_processes=num_processes, is_replacing=arguments.overwrite)
    if num_kept:
        print(f"{num_kept} pieces were kept from an interrupted run.")
    for file in plan.files:
        print(f"{file.path}  {file.num_bytes:,} bytes")
    return 0


def _read_size(text: str) -> int:
    match = re.fullmatch(r"(\d+)([MG]?)B?", text.upper())
    if match is None or int(match[1]) == 0:
        raise UsageError(f"--split-max-size: expected a size such as 4G or 500M, found {text!r}.")
    return int(match[1]) * _UNITS[match[2]]


def _num_cores() -> int:
    has_affinity = hasattr(os, "sched_getaffinity")
    return len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
