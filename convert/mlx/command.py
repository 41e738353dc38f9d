"""`python -m convert mlx SOURCE OUT`: read the command line, plan, and convert."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from convert.arguments import add_calibration_argument, add_source_arguments, next_command
from convert.budget.target import add_budget_arguments, budget_words, is_budget_asked, refuse_formats
from convert.formats import checked_format, parse_format
from edge.errors import UsageError
from edge.plan.recipes import RECIPES, Format

if TYPE_CHECKING:
    from convert.mlx.budgeted import Budgeted
    from convert.mlx.run import Plan, Settings
    from convert.source import Source
    from edge.config import ModelConfig

EXAMPLES = """\
examples:
  python -m convert mlx Qwen/Qwen3-VL-4B-Instruct ./qwen-4bit --recipe 4bit
  python -m convert mlx ./Qwen3-VL-30B-A3B-Instruct-FP8 ./out --recipe 4bit-mixed
  python -m convert mlx Qwen/Qwen3-VL-30B-A3B-Instruct ./out --recipe 4bit --stream
      the disk holds one shard (5 GB) and the output, not the 62 GB of the source
  python -m convert mlx Qwen/Qwen3-VL-30B-A3B-Instruct ./out --recipe 3bit --dry-run
      only the plan: bytes, and Macs it fits
  python -m convert mlx 30b --fit "24 GB" --context 32768 --kv-bits 8 --image 2048x2048 --dry-run
      the format of every tensor for that Mac, from shapes alone; with a folder, from its weights
  python -m convert mlx ./source ./out --size 4bit
      the bytes of plain 4 bits, spent where they matter most
  python -m convert mlx ./source ./out --recipe 4bit --set 'self_attn.*=8bit' --set 'layers.0=bf16'
  python -m convert calibrate ./source ./source.calib
  python -m convert mlx ./source ./out --recipe 4bit --calibration ./source.calib
      the same size and format, with a fraction of the loss

An interrupted conversion stays in OUT.partial; the same command goes on with it.
exit status: 0 done, 1 failure (one line on stderr), 2 wrong usage, 130 interrupted.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    wide = 1 + max(map(len, RECIPES))
    recipes = "\n".join(f"  {recipe.name:{wide}}{recipe.sentence}" for recipe in RECIPES.values())
    parser.usage = "%(prog)s SOURCE OUT --recipe NAME [options]"
    parser.epilog = f"recipes:\n{recipes}\n\n{EXAMPLES}"
    add_source_arguments(parser)
    parser.add_argument("out", metavar="OUT", type=Path, nargs="?", help="folder to make; not needed with --dry-run")
    parser.add_argument("--recipe", metavar="NAME", choices=tuple(RECIPES), help="one of those below (default: 4bit)")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and write nothing")
    parser.add_argument(
        "--no-search", dest="search", action="store_false", help="plain mx.quantize instead of searched affine scales"
    )
    purpose = (
        "makes rounding errors good where it loses least of what the model sees, weighs matrices for --size, --fit"
    )
    add_calibration_argument(parser, purpose=purpose)
    add_budget_arguments(parser, what="format", such_as="a recipe, such as 4bit")
    known = parser.add_argument_group("for people who know")
    known.add_argument("--bits", metavar="N", type=int, help="bits of the recipe's main format")
    known.add_argument("--group-size", metavar="N", type=int, help="weights that share a scale")
    known.add_argument("--mode", metavar="MODE", help="affine, mxfp4, mxfp8 or nvfp4")
    known.add_argument(
        "--set",
        metavar="PATTERN=FORMAT",
        action="append",
        default=[],
        help="format of matrices by name, such as vision_tower=8bit or mlp.gate=bf16; repeatable, the last one counts",
    )
    known.add_argument(
        "--shard-gb", metavar="X", type=float, default=5.0, help="most GB in one output file (default: 5)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line asks for; return the exit code."""
    is_budgeted = is_budget_asked(arguments)
    if is_budgeted:
        given = [("--recipe", arguments.recipe), ("--bits", arguments.bits), ("--mode", arguments.mode)]
        refuse_formats([*given, ("--group-size", arguments.group_size)])
    arguments.recipe = arguments.recipe or "4bit"
    base = _read_base(arguments)
    overrides = tuple(_read_override(text) for text in arguments.set)
    if not 0.001 <= arguments.shard_gb <= 1000:
        raise UsageError(f"--shard-gb {arguments.shard_gb}: expected 0.001 to 1000.")
    if arguments.out is None and not arguments.dry_run:
        raise UsageError("OUT is missing: name the folder to make, or add --dry-run.")
    if arguments.calibration is not None and not arguments.search:
        raise UsageError("--calibration searches scales anew for what it compensates. Leave --no-search out.")
    # Late: --help and wrong usage answer at once.
    from convert.mlx.run import Settings
    from edge.memory import GB

    settings = Settings(
        recipe=RECIPES[arguments.recipe],
        base=base,
        overrides=overrides,
        is_searched=arguments.search,
        shard_bytes=int(arguments.shard_gb * GB),
        command=_command_line(arguments),
    )
    return _print_plan(arguments, settings) if arguments.dry_run else _convert(arguments, settings)


def _convert(arguments: argparse.Namespace, settings: Settings) -> int:
    import mlx.core as mx

    from convert.disk import describe_bytes
    from convert.final import check_out
    from convert.mlx.companions import missing_companions
    from convert.mlx.run import convert_folder, make_plan
    from convert.opening import adapter_lines, opened_source

    out: Path = arguments.out
    check_out(out)
    with opened_source(arguments, out, dtype=mx.bfloat16) as (source, claim):
        settings, budgeted = _with_weights(arguments, settings, source)
        plan = make_plan(source.checkpoint.config, settings)
        missing = missing_companions(source.files.folder)
        num_kept = convert_folder(source, out, settings=settings, plan=plan, claim=claim)
    kept = f" ({num_kept} pieces were kept from an interrupted run)" if num_kept else ""
    print(
        f"{out}: {describe_bytes(plan.layout.weight_bytes)}, {plan.layout.bits_per_weight:.2f} bits per weight{kept}."
    )
    for line in [*adapter_lines(source), *_compensation_lines(plan, settings)]:
        print(line)
    if budgeted is not None:
        print("\n".join(budgeted.lines(source.files.identity.name, plan.config)))
    for name in missing:
        print(f"convert: note: the source has no {name}; {out} needs one to answer.", file=sys.stderr)
    print(f"Next: {next_command(out)}")
    return 0


def _print_plan(arguments: argparse.Namespace, settings: Settings) -> int:
    from convert.budget.target import published, say_published
    from convert.mlx.budgeted import choose_under_budget
    from convert.opening import opened_for_plan

    found = published(arguments.source)
    if found is not None:
        if arguments.calibration is not None:
            raise UsageError(
                f"--calibration needs weights, and {arguments.source} is planned from shapes. Leave it out."
            )
        size, config = found
        lines: list[str] = []
        if is_budget_asked(arguments):
            settings, budgeted = choose_under_budget(arguments, config, settings, checkpoint=None)
            lines = budgeted.lines(f"Qwen3-VL-{size}", config)
        print(f"{say_published(size)}\n")
        _print_layout(config, settings, lines)
        return 0
    with opened_for_plan(arguments) as source:
        config = source.checkpoint.config
        settings, chosen = _with_weights(arguments, settings, source)
        _print_layout(config, settings, [] if chosen is None else chosen.lines(source.files.identity.name, config))
    return 0


def _compensation_lines(plan: Plan, settings: Settings) -> list[str]:
    """Say what a calibration makes good in these formats, which may be nothing."""
    from convert.mlx.compensation import MOST_BITS
    from convert.mlx.run import count_compensated

    if settings.calibration is None:
        return []
    count = count_compensated(plan.layout, settings.calibration)
    if not count:
        return [f"The calibration compensates nothing here: that is for affine formats up to {MOST_BITS} bits."]
    return [f"Errors of {count} matrices are compensated with {settings.calibration.label}."]


def _print_layout(config: ModelConfig, settings: Settings, more: list[str]) -> None:
    from convert.mlx.run import make_plan
    from convert.plan import describe_plan
    from edge.memory import available_bytes
    from edge.plan.machine import here_precision

    plan = make_plan(config, settings)
    sizes = [shard.num_bytes for shard in plan.layout.shards]
    stored, available = plan.layout.stored(), available_bytes()
    lines = describe_plan(plan.config, stored, files=sizes, available=available, here=here_precision())
    more = [*_compensation_lines(plan, settings), *more]
    print("\n".join([*lines, *(["", *more] if more else [])]))


def _with_weights(
    arguments: argparse.Namespace, settings: Settings, source: Source
) -> tuple[Settings, Budgeted | None]:
    """Open the calibration, and let a budget decide the formats; a stream's weights are not there to be measured."""
    from convert.calibration.given import given_calibration

    identity = source.files.identity
    has_weights = source.files.holds_weights
    weights = given_calibration(
        arguments.calibration, source.checkpoint, identity, has_weights=has_weights, is_plan=arguments.dry_run
    )
    settings = replace(settings, calibration=weights)
    if not is_budget_asked(arguments):
        return settings, None
    from convert.mlx.budgeted import choose_under_budget

    checkpoint = source.checkpoint if has_weights else None
    return choose_under_budget(arguments, source.checkpoint.config, settings, checkpoint=checkpoint, weights=weights)


def _read_base(arguments: argparse.Namespace) -> Format:
    base = parse_format(RECIPES[arguments.recipe].format_name)
    if arguments.bits is None and arguments.group_size is None and arguments.mode is None:
        return base
    mode = arguments.mode or (base.mode if base is not None else "affine")
    same_mode = base is not None and base.mode == mode
    bits = arguments.bits if arguments.bits is not None or not same_mode or base is None else base.bits
    group_size = (
        arguments.group_size if arguments.group_size is not None or not same_mode or base is None else base.group_size
    )
    return checked_format(bits=bits, group_size=group_size, mode=mode)


def _read_override(text: str) -> tuple[str, Format]:
    pattern, separator, name = text.rpartition("=")
    if not separator or not pattern:
        raise UsageError(f"--set {text!r}: expected PATTERN=FORMAT, such as self_attn.v_proj=8bit.")
    try:
        return pattern, parse_format(name)
    except UsageError as error:
        raise UsageError(f"--set {text!r}: {error}") from None


def _command_line(arguments: argparse.Namespace) -> str:
    """Write the command for the card, without paths of this machine."""
    from convert.opening import adapter_words, shown_source

    words = ["python", "-m", "convert", "mlx", shown_source(arguments.source), "OUT"]
    words += budget_words(arguments) or ["--recipe", arguments.recipe]
    for flag, value in (("--bits", arguments.bits), ("--group-size", arguments.group_size), ("--mode", arguments.mode)):
        words += [] if value is None else [flag, str(value)]
    for text in arguments.set:
        words += ["--set", text]
    words += [] if arguments.calibration is None else ["--calibration", arguments.calibration.name]
    words += [] if arguments.search else ["--no-search"]
    words += ["--from-packed"] if arguments.from_packed else []
    words += adapter_words(arguments)
    return shlex.join(words)
