"""`python -m edge.plan`: what a model needs and whether it fits, before anything is downloaded, converted or loaded."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace

from edge.errors import EdgeError, UsageError
from edge.units import token_count
from edge.usage import OneLineParser, end_of_pipe, file_failure, write_notes
from edge.version import add_version_argument

PROGRAM = "python -m edge.plan"
EXAMPLES = """\
examples:
  python -m edge.plan                                   the published models in every recipe, on this machine
  python -m edge.plan --mac "16 GB" --recipe 4bit       all of them in 4 bits, on a Mac, and which to begin with
  python -m edge.plan 30b --mac "M4 24 GB"              one model in every recipe, on a Mac
  python -m edge.plan 30b --recipe 4bit --mac "32 GB" --context 65536 --kv-bits 8 --image 4096x4096
  python -m edge.plan ./my-model --json                 files of this computer, by their headers

exit status: 0 it fits, 1 it does not (or a failure, told on stderr), 2 wrong usage.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Plan what the command line asks for; return the exit status."""
    write_notes("edge.plan")
    given = _parser().parse_args(argv)
    try:
        status = _plan(given)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        return end_of_pipe()
    except UsageError as error:
        print(f"edge.plan: {error}", file=sys.stderr)
        return 2
    except EdgeError as error:
        print(f"edge.plan: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"edge.plan: {file_failure(error)}", file=sys.stderr)
        return 1


def _plan(given: argparse.Namespace) -> int:
    from edge.config_context import MOST_STRETCH
    from edge.plan.checkpoint import find_model
    from edge.plan.estimate import Task
    from edge.plan.family import FAMILY
    from edge.plan.machine import parse_mac, this_machine
    from edge.plan.report import describe, suggest, table, variant_json

    machine = this_machine() if given.mac is None else parse_mac(given.mac)
    names = [given.model] if given.model else list(FAMILY)
    itemsize = machine.precision.itemsize
    models = [find_model(name, itemsize=itemsize, recipe=given.recipe) for name in names]
    own = min(model.config.text.max_position_embeddings for model in models)
    most = MOST_STRETCH * own
    if given.context is not None and not 1 <= given.context <= most:
        raise UsageError(f"--context {given.context}: expected 1 to {most} tokens.")
    task = Task(
        given.context or min(8192, own), given.kv_bits, None if given.image is None else parse_size(given.image)
    )
    if len(models) == 1:
        task = replace(task, settings=models[0].images)
    rows = [(model, variant) for model in models for variant in model.variants]
    if given.json:
        plans = [variant_json(model, variant, task, machine) for model, variant in rows]
        print(json.dumps(plans[0] if len(plans) == 1 else plans, indent=2))
        return 0 if any(plan["fits"] for plan in plans) else 1
    if len(rows) > 1:
        advice = suggest(models, task, machine) if given.model is None else []
        print("\n".join([*table(models, task, machine), *advice]))
        return 0
    lines, fits = describe(*rows[0], task, machine)
    print("\n".join(lines))
    return 0 if fits else 1


def parse_size(text: str) -> tuple[int, int]:
    """Read WIDTHxHEIGHT as height and width.

    Raises:
        UsageError: It is not of this form.
    """
    match = re.fullmatch(r"\s*([0-9]{1,6})\s*[xX\u00d7]\s*([0-9]{1,6})\s*", text)
    if match is None or not int(match.group(1)) or not int(match.group(2)):
        raise UsageError(f"--image {text}: expected WIDTHxHEIGHT in pixels, such as 4096x4096.")
    return int(match.group(2)), int(match.group(1))


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog=PROGRAM,
        description="Say what a Qwen3-VL checkpoint needs and whether it fits, without reading a weight.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_version_argument(parser)
    parser.add_argument(
        "model", metavar="MODEL", nargs="?", help="a short name such as 30b, a folder, a .gguf file, or demo"
    )
    parser.add_argument(
        "--context", metavar="N", type=token_count, help="tokens of prompt and answer, such as 32k or 1m (default: 8k)"
    )
    parser.add_argument(
        "--kv-bits", metavar="8|4", type=int, choices=(8, 4), help="bits of keys and values (default: 16)"
    )
    parser.add_argument("--image", metavar="WxH", help="the largest picture, in pixels")
    parser.add_argument(
        "--mac", metavar="MAC", help='a Mac with its memory, such as "M4 16 GB" (default: this machine)'
    )
    parser.add_argument("--recipe", metavar="NAME", help="one recipe of the converter, such as 4bit")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
