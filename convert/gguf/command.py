"""`python -m convert gguf SOURCE OUT.gguf --type Q4_K_M --mmproj f16`: read the command line, run, report."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from convert.arguments import add_calibration_argument, add_source_arguments, next_command
from convert.budget.target import add_budget_arguments, budget_words, is_budget_asked, refuse_formats
from convert.gguf.types import FILE_TYPES, PROJECTOR_TYPES, choose_file_type
from edge.errors import UsageError
from edge.units import byte_count

if TYPE_CHECKING:
    from convert.calibration.file import Calibration
    from convert.gguf.imatrix import Importance
    from convert.gguf.plan import Plan, Wanted
    from convert.gguf.types import FileType
    from convert.source import Source
    from edge.config import ModelConfig

_EPILOG = """\
examples:
  python -m convert gguf Qwen/Qwen3-VL-4B-Instruct Qwen3VL-4B-Instruct-Q4_K_M.gguf --type Q4_K_M --mmproj f16
  python -m convert gguf Qwen/Qwen3-VL-30B-A3B-Instruct Qwen3VL-30B-Q4_K_M.gguf --stream
      the disk holds one shard (5 GB) and the output, not the 62 GB of the source
  python -m convert gguf ./my-model out/my-model-16GB.gguf --fit "16 GB" --context 16384
      the type of every tensor so that both files fit a Mac and lose as little as they can
  python -m convert gguf ./my-model out/my-model-Q8_0.gguf --type Q8_0 --dry-run

An interrupted conversion stays in OUT.gguf.partial; the same command goes on with it.
llama.cpp prepares pictures otherwise than the reference: it pads with black to the next multiple of 32 pixels and takes
8 to 4096 tokens a picture. Pictures whose sides are multiples of 32 go in unchanged.
exit status: 0 done, 1 failure (one line on stderr), 2 wrong usage, 130 interrupted."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.epilog = _EPILOG
    add_source_arguments(parser)
    parser.add_argument(
        "out",
        metavar="OUT.gguf",
        type=Path,
        nargs="?",
        help="the text file; the projector goes beside it; not needed with --dry-run",
    )
    parser.add_argument("--type", metavar="TYPE", help=f"one of {', '.join(FILE_TYPES)} (default: Q4_K_M)")
    parser.add_argument(
        "--mmproj",
        metavar="TYPE",
        help=f"type of the projector: {', '.join(PROJECTOR_TYPES)}, or none to leave it out (default: F16; Q8_0 with "
        "--size or --fit)",
    )
    parser.add_argument("--imatrix", metavar="FILE", type=Path, help="importance file of llama-imatrix, old or GGUF")
    add_calibration_argument(parser, purpose="weighs matrices for --size and --fit, and inputs at 3 bits and below")
    parser.add_argument(
        "--save-imatrix",
        metavar="FILE",
        type=Path,
        help="write the calibration as llama.cpp's importance file",
    )
    add_budget_arguments(parser, what="type", such_as="a type, such as Q4_K_M, or a recipe of `convert mlx`")
    parser.add_argument(
        "--split-max-size",
        metavar="N[M|G]",
        help="cut the text file into parts with at most N bytes of tensors, such as 4G",
    )
    parser.add_argument("--processes", metavar="N", type=int, help="worker processes (default: one per core)")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and write nothing")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")


def run(arguments: argparse.Namespace) -> int:
    """Convert a checkpoint; return the exit code.

    Raises:
        EdgeError: What a user can cause.
    """
    is_budgeted = is_budget_asked(arguments)
    if arguments.save_imatrix is not None and arguments.calibration is None:
        raise UsageError("--save-imatrix writes what a calibration saw: add --calibration FOLDER.")
    if is_budgeted:
        refuse_formats([("--type", arguments.type)])
    elif arguments.imatrix is not None and arguments.calibration is not None and arguments.save_imatrix is None:
        raise UsageError("--imatrix and --calibration both weigh inputs. Leave one out.")
    arguments.mmproj = arguments.mmproj or ("Q8_0" if is_budgeted else "F16")
    file_type = choose_file_type(arguments.type or "Q4_K_M")
    no_projector = arguments.mmproj.lower() == "none"
    projector_type = None if no_projector else choose_file_type(arguments.mmproj, PROJECTOR_TYPES, flag="--mmproj")
    max_bytes = None if arguments.split_max_size is None else _read_size(arguments.split_max_size)
    num_processes = arguments.processes if arguments.processes is not None else _num_cores()
    if num_processes < 1:
        raise UsageError(f"--processes: expected 1 or more, found {num_processes}.")
    if arguments.out is None:
        if not arguments.dry_run:
            raise UsageError("OUT.gguf is missing: name the file to make, or add --dry-run.")
        arguments.out = Path("OUT.gguf")
    if arguments.out.suffix != ".gguf":
        raise UsageError(f"expected an output name that ends in .gguf, found {arguments.out}.")
    if arguments.out.is_symlink():
        raise UsageError(f"{arguments.out} is a link. Choose another OUT, or delete it.")
    from convert.gguf.plan import Wanted  # late: a wrong command line should not wait for it

    wanted = Wanted(arguments.out, file_type, projector_type, max_bytes)
    return _print_plan(arguments, wanted) if arguments.dry_run else _convert(arguments, wanted, num_processes)


def _print_plan(arguments: argparse.Namespace, wanted: Wanted) -> int:
    import mlx.core as mx

    from convert.budget.target import published, say_published
    from convert.opening import opened_for_plan
    from convert.plan import describe_plan
    from edge.memory import available_bytes
    from edge.plan.machine import here_precision

    found = published(arguments.source)
    if found is not None:
        print(f"{say_published(found[0])}\n")
        _print_published(arguments, wanted, found[1])
        return 0
    with opened_for_plan(arguments, dtype=mx.float32) as source:
        plan = _make_plan(arguments, wanted, source)
        for file in plan.files:
            print(f"{file.path}  {file.num_bytes:,} bytes")
        sizes = [file.num_bytes for file in plan.files]
        lines = describe_plan(
            source.checkpoint.config, plan.stored(), files=sizes, available=available_bytes(), here=here_precision()
        )
        print("\n".join(("", *lines, *_importance_lines(arguments, plan))))
    return 0


def _importance_lines(arguments: argparse.Namespace, plan: Plan) -> list[str]:
    """Say which inputs a calibration weighs in these types, which may be none."""
    if arguments.calibration is None or arguments.imatrix is not None:
        return []
    if not plan.importance:
        return ["The calibration weighs no inputs here: that helps at 3 bits and below."]
    return [f"The calibration weighs the inputs of {len(plan.importance)} tensors."]


def _print_published(arguments: argparse.Namespace, wanted: Wanted, config: ModelConfig) -> None:
    """Plan the files of a published model from shapes alone."""
    from convert.budget.target import TooSmallError, read_target
    from convert.gguf.budgeted import METADATA_BYTES, choose_types_from_shapes
    from convert.gguf.plan import describe_types
    from convert.plan import describe_plan
    from edge.memory import available_bytes
    from edge.plan.machine import here_precision

    if arguments.calibration is not None:
        raise UsageError(f"--calibration needs weights, and {arguments.source} is planned from shapes. Leave it out.")

    def size_of(file_type: FileType) -> int:
        return METADATA_BYTES + sum(one.num_bytes for one in describe_types(config, file_type, wanted.projector_type))

    if is_budget_asked(arguments):
        target = read_target(arguments, config, sizes=_sizes(size_of))
        try:
            found = choose_types_from_shapes(config, wanted, budget=target.budget)
        except TooSmallError as error:
            raise target.refused(error) from None
        print("\n".join([*found.lines(target.words, target.budget), ""]))
        wanted = found.wanted
    stored = describe_types(config, wanted.file_type, wanted.projector_type, wanted.types)
    tower = sum(one.num_bytes for one in stored if one.name.startswith("vision_tower."))
    text = METADATA_BYTES + sum(one.num_bytes for one in stored) - tower
    files = [text, tower] if tower else [text]
    lines = describe_plan(config, stored, files=files, available=available_bytes(), here=here_precision())
    print("\n".join(lines))


def _convert(arguments: argparse.Namespace, wanted: Wanted, num_processes: int) -> int:
    import mlx.core as mx

    from convert.gguf.run import write_plan
    from convert.opening import adapter_lines, opened_source

    with opened_source(arguments, arguments.out, dtype=mx.float32) as (source, claim):
        plan = _make_plan(arguments, wanted, source)
        outcome = write_plan(
            plan,
            source,
            num_processes=num_processes,
            is_replacing=arguments.overwrite,
            claim=claim,
            command=_command_line(arguments),
        )
    if outcome.num_kept:
        print(f"{outcome.num_kept} pieces were kept from an interrupted run.")
    for file in plan.files:
        reused = ", the equal file that was there" if file.path in outcome.reused else ""
        print(f"{file.path}  {file.num_bytes:,} bytes{reused}")
    for line in [*adapter_lines(source), *_importance_lines(arguments, plan)]:
        print(line)
    print(f"Next: {next_command(plan.files[0].path)}")
    return 0


def _make_plan(arguments: argparse.Namespace, wanted: Wanted, source: Source) -> Plan:
    from convert.budget.target import TooSmallError, read_target
    from convert.calibration.given import given_calibration
    from convert.gguf.budgeted import choose_types, helped
    from convert.gguf.imatrix import read_importance
    from convert.gguf.plan import make_plan

    name = source.files.identity.name.rpartition("/")[2]
    has_weights = source.files.holds_weights
    calibration = given_calibration(
        arguments.calibration,
        source.checkpoint,
        source.files.identity,
        has_weights=has_weights,
        is_plan=arguments.dry_run,
    )
    importance: Importance = {}
    if arguments.imatrix is not None:
        importance = read_importance(arguments.imatrix)
    elif calibration is not None:
        importance = _calibrated(arguments, calibration, source)
    where = arguments.imatrix or Path()
    if not is_budget_asked(arguments):
        plan = make_plan(source.checkpoint, wanted, name=name, importance=importance, importance_path=where)
        if calibration is None or arguments.imatrix is not None:
            return plan
        types = {place.tensor.name: place.tensor.type for places in plan.places.values() for place in places}
        return replace(plan, importance=helped(importance, types))

    def size_of(file_type: FileType) -> int:
        plan = make_plan(source.checkpoint, replace(wanted, file_type=file_type), name=name)
        return sum(file.num_bytes for file in plan.files)

    target = read_target(arguments, source.checkpoint.config, sizes=_sizes(size_of))
    try:
        found = choose_types(
            source.checkpoint,
            wanted,
            budget=target.budget,
            weights=calibration,
            importance=importance,
            has_weights=has_weights,
        )
    except TooSmallError as error:
        raise target.refused(error) from None
    print("\n".join(found.lines(target.words, target.budget)))
    kept = helped(importance, found.wanted.types)
    return make_plan(source.checkpoint, found.wanted, name=name, importance=kept, importance_path=where)


def _sizes(size_of: Callable[[FileType], int]) -> dict[str, Callable[[], int]]:
    """Name what --size takes besides recipes: as much as a type of this command, with the same projector."""
    return {name: partial(size_of, file_type) for name, file_type in FILE_TYPES.items()}


def _calibrated(arguments: argparse.Namespace, calibration: Calibration, source: Source) -> Importance:
    """Make importance of a calibration, and write it where that is wanted."""
    from convert.gguf.importance import importance_of, sums_of, write_importance

    sums = sums_of(calibration, source.checkpoint.config)
    if arguments.save_imatrix is not None and not arguments.dry_run:
        path, dataset = arguments.save_imatrix, calibration.path.name
        write_importance(path, sums, dataset=dataset, is_replacing=arguments.overwrite)
    return importance_of(sums)


def _command_line(arguments: argparse.Namespace) -> str:
    """Write the command for the card, without paths of this machine."""
    from convert.opening import adapter_words, shown_source

    words = ["python", "-m", "convert", "gguf", shown_source(arguments.source), "OUT.gguf"]
    words += [*(budget_words(arguments) or ["--type", arguments.type or "Q4_K_M"]), "--mmproj", arguments.mmproj]
    words += [] if arguments.calibration is None else ["--calibration", arguments.calibration.name]
    words += [] if arguments.imatrix is None else ["--imatrix", arguments.imatrix.name]
    words += [] if arguments.split_max_size is None else ["--split-max-size", arguments.split_max_size]
    words += ["--from-packed"] if arguments.from_packed else []
    words += adapter_words(arguments)
    return shlex.join(words)


def _read_size(text: str) -> int:
    try:
        return byte_count(text)
    except ValueError:
        raise UsageError(f"--split-max-size: expected a size such as 4G or 500M, found {text!r}.") from None


def _num_cores() -> int:
    has_affinity = hasattr(os, "sched_getaffinity")
    return len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
