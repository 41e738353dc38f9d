"""`python -m convert mlx|gguf|plan|calibrate|repack|verify`: make a checkpoint for a runtime, and check one.

Each sub-command is a module with `add_arguments(parser)` and `run(arguments) -> exit code`, imported when it is chosen.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn, Protocol, cast

from convert.interrupt import INTERRUPTED, end_at_second_interrupt, end_program
from edge.errors import EdgeError
from edge.units import one_line
from edge.usage import OneLineParser, end_of_pipe, file_failure, write_notes
from edge.version import add_version_argument

PROGRAM = "python -m convert"
# sub-command -> module and the sentence shown in --help
COMMANDS = {
    "mlx": ("convert.mlx.command", "quantize a checkpoint for this runtime and for mlx-vlm"),
    "gguf": ("convert.gguf.command", "quantize a checkpoint for llama.cpp: a text file and a vision projector"),
    "plan": ("convert.overview", "show what every recipe and type would take, and on which Macs it fits"),
    "calibrate": (
        "convert.calibration.command",
        "record what a model's matrices see, for smaller losses at equal bits",
    ),
    "repack": ("convert.repack", "write a GGUF model's weights as an MLX folder, without quantizing anew"),
    "verify": ("convert.verify.command", "compare a converted checkpoint with its source"),
}


class Command(Protocol):
    """What the module of a sub-command offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Describe the command line."""
        ...

    def run(self, arguments: argparse.Namespace) -> int:
        """Do the work; return the exit code. Raises EdgeError for what a user can cause."""
        ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run a sub-command; return its exit code."""
    write_notes("convert")
    words = list(sys.argv[1:] if argv is None else argv)
    name = _make_overview().parse_args(words[:1]).command
    module_name, sentence = COMMANDS[name]
    try:
        command = cast(Command, importlib.import_module(module_name))
        parser = OneLineParser(
            prog=f"{PROGRAM} {name}",
            description=f"{sentence[0].upper()}{sentence[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        add_version_argument(parser)
        command.add_arguments(parser)
        with end_at_second_interrupt():
            return command.run(parser.parse_args(words[1:]))
    except EdgeError as error:
        print(f"convert: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as interrupt:
        print(f"\n{interrupt or 'Interrupted.'}", file=sys.stderr)  # behind the terminal's ^C
        return INTERRUPTED
    except BrokenPipeError:
        return end_of_pipe()
    except OSError as error:
        print(f"convert: {file_failure(error)}", file=sys.stderr)
        return 1
    except Exception as error:
        if os.environ.get("EDGE_DEBUG"):
            raise
        print(
            f"convert: internal error, please report: {type(error).__name__}: {one_line(str(error))} "
            "(EDGE_DEBUG=1 shows where)",
            file=sys.stderr,
        )
        return 1


def _make_overview() -> argparse.ArgumentParser:
    listed = "\n".join(f"  {name:11}{sentence}" for name, (_, sentence) in COMMANDS.items())
    parser = OneLineParser(
        prog=PROGRAM,
        usage=f"%(prog)s {'|'.join(COMMANDS)} [options]",
        description="Make a checkpoint smaller, or check one that was made.",
        epilog=f"sub-commands (each with its own --help):\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_version_argument(parser)
    parser.add_argument("command", choices=tuple(COMMANDS), help=argparse.SUPPRESS)
    return parser


def run_program() -> NoReturn:
    """Run as a program of its own, `edge-convert`, and end it."""
    end_program(main())


if __name__ == "__main__":
    run_program()
