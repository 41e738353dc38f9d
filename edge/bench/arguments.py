"""Read the command line of `python -m edge.bench`; nothing heavy is imported here."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Literal, NoReturn

from edge.records import dataclass
from edge.version import add_version_argument

PROGRAM = "python -m edge.bench"
EXAMPLES = """\
examples:
  python -m edge.bench                                    the embedded demo checkpoint, everything, a minute or two
  python -m edge.bench --model ./my-model --json out.json --plot out.svg --card out.md
  python -m edge.bench --model ./my-model --depths 512,8192,32768 --rows 1,4 --pictures 1024x1024 --repeats 3
  python -m edge.bench --graph                            launches and host time of a token by kind, nothing else
  python -m edge.bench --model ./my-model --against http://127.0.0.1:8080/v1   another runtime's server, by turns
  python -m edge.bench --device-check                     a random 30B in 4 bits on this GPU, against mlx-lm, mlx-vlm

Ctrl-C ends it and keeps what was measured so far. exit status: 0 done, 1 failure (one line on stderr), 2 wrong usage,
130 interrupted.
"""
DEPTHS, ROWS, PICTURES = (128, 512, 2048), (1, 2, 4, 8), ((512, 512), (1024, 1024))


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What the command line asks for.

    Attributes:
        model: Folder, GGUF file, hub id or short name; None takes the embedded demo checkpoint.
        projector: Vision file of a GGUF model.
        depths: Tokens of prompts.
        rows: Requests at a time.
        pictures: Widths and heights.
        tokens: Tokens of an answer.
        repeats: Runs of each figure.
        kv_bits: Bits of keys and values.
        wires: Whether macOS may not page the model out.
        is_graph: Only launches and host time of a token.
        against: Address of another runtime's server.
        is_device_check: A random model instead of a checkpoint.
        layers: Decoder layers of that model.
        real_widths: Whether it has the 30B's widths on a CPU too.
        json: File for the report as JSON; "-" is stdout.
        plot: File for an SVG picture.
        card: File for a Markdown card.
    """

    model: str | None
    projector: Path | None
    depths: tuple[int, ...]
    rows: tuple[int, ...]
    pictures: tuple[tuple[int, int], ...]
    tokens: int
    repeats: int
    kv_bits: Literal[8, 4] | None
    wires: bool
    is_graph: bool
    against: str | None
    is_device_check: bool
    layers: int | None
    real_widths: bool
    json: str | None
    plot: Path | None
    card: Path | None


class _Parser(argparse.ArgumentParser):
    """argparse, with errors in one line."""

    def error(self, message: str) -> NoReturn:
        print(f"edge.bench: {message}. See {PROGRAM} --help.", file=sys.stderr)
        raise SystemExit(2)


def parse_arguments(argv: Sequence[str] | None = None) -> BenchOptions:
    """Read the command line; exits with 2 and one line on stderr when it is wrong."""
    parser = _parser()
    given = vars(parser.parse_args(argv))
    if given["is_device_check"] and (given["model"] is not None or given["projector"] is not None):
        parser.error("--device-check makes a model of its own; leave out --model and --mmproj")
    if not given["is_device_check"] and (given["layers"] is not None or given["real_widths"]):
        parser.error("--layers and --real-widths are of the random model; give --device-check too")
    return BenchOptions(**{field.name: given[field.name] for field in fields(BenchOptions)})


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=PROGRAM,
        description="Measure speed and memory of a checkpoint on this computer, and count what a token costs.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_version_argument(parser)
    parser.add_argument(
        "--model", metavar="NAME", help="a short name, a folder, a .gguf file, a hub id or demo (default: demo)"
    )
    parser.add_argument(
        "--mmproj", dest="projector", metavar="FILE", type=Path, help="projector of a GGUF model (default: beside it)"
    )
    _add_measured(parser)
    only = parser.add_argument_group("instead of all that").add_mutually_exclusive_group()
    only.add_argument(
        "--graph", dest="is_graph", action="store_true", help="launches and host time of a token, by kind"
    )
    only.add_argument("--against", metavar="URL", help="another runtime's OpenAI-compatible server, by turns")
    only.add_argument(
        "--device-check", dest="is_device_check", action="store_true", help="a random model, against mlx-lm and mlx-vlm"
    )
    parser.add_argument("--layers", metavar="N", type=_number, help="decoder layers of the random model")
    parser.add_argument("--real-widths", action="store_true", help="the 30B's widths without a GPU too (slow)")
    out = parser.add_argument_group("what is written")
    out.add_argument("--json", metavar="FILE", help="the report as JSON; - writes it to stdout")
    out.add_argument("--plot", metavar="FILE", type=Path, help="an SVG picture")
    out.add_argument("--card", metavar="FILE", type=Path, help="a Markdown card, to be posted")
    return parser


def _add_measured(parser: argparse.ArgumentParser) -> None:
    asked = parser.add_argument_group("what is measured")
    asked.add_argument(
        "--depths", metavar="N,N", type=_numbers, default=DEPTHS, help="tokens of prompts (default: 128,512,2048)"
    )
    asked.add_argument(
        "--rows", metavar="N,N", type=_numbers, default=ROWS, help="requests at a time (default: 1,2,4,8)"
    )
    asked.add_argument(
        "--pictures",
        metavar="WxH,WxH",
        type=_sizes,
        default=PICTURES,
        help="pictures, or none (default: 512x512,1024x1024)",
    )
    asked.add_argument("--tokens", metavar="N", type=_number, default=64, help="tokens of an answer (default: 64)")
    asked.add_argument("--repeats", metavar="N", type=_number, default=3, help="runs of each figure (default: 3)")
    asked.add_argument(
        "--kv-bits", metavar="8|4", type=int, choices=(8, 4), help="bits of keys and values (default: 16)"
    )
    asked.add_argument(
        "--wire", dest="wires", action="store_true", help="Mac only: keep the model from being paged out (risky)"
    )


def _number(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,8}", text):
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, found {text!r}")
    return int(text)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(_number(part) for part in text.split(","))


def _sizes(text: str) -> tuple[tuple[int, int], ...]:
    if text == "none":
        return ()
    found = [re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", part) for part in text.split(",")]
    if not all(found):
        raise argparse.ArgumentTypeError(f"expected sizes such as 512x512,1024x768, found {text!r}")
    return tuple((int(match[1]), int(match[2])) for match in found if match)
