"""Read the command line of `python -m edge.chat`.

In: argv. Out: `ChatOptions`. Nothing heavy is imported here, so `--help` and a wrong flag answer at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

PROGRAM = "python -m edge.chat"
EXAMPLES = """\
examples:
  python -m edge.chat --image cat.jpg "What is in the picture?"
      one answer from the small embedded demo checkpoint
  python -m edge.chat --model Qwen/Qwen3-VL-4B-Instruct
      talk; the checkpoint is downloaded once and runs offline afterwards
  python -m edge.chat --model ./my-model --image a.png --image b.png "Compare them." > answer.txt
      the answer goes to the file; thought, notes and errors stay on the terminal
  git diff | python -m edge.chat --model ./my-model
      without PROMPT, piped text is the prompt ("-" asks for that explicitly)
  python -m edge.chat --model ./my-model --video talk.mp4 --fps 1 --json "Summarize." | jq .answer
      machine-readable: answer, reasoning, usage, finish reason

in a talk: /image FILE  /video FILE  /new  /save FILE  /help  /quit; Ctrl-C stops an answer and keeps it.
exit status: 0 done, 1 failure (one line on stderr), 2 wrong usage, 130 interrupted.
"""


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """What the command line asks for; None leaves a value to the checkpoint."""

    model: str | None = None
    projector: Path | None = None
    adapter: str | None = None
    prompt: str | None = None
    images: tuple[Path, ...] = ()
    videos: tuple[Path, ...] = ()
    system: str | None = None
    max_tokens: int | None = None
    thinking_budget: int | None = None
    stop: tuple[str, ...] = ()
    # Fields of SamplingParams that were given.
    sampling: dict[str, float | int] = field(default_factory=dict)
    min_pixels: int | None = None
    max_pixels: int | None = None
    fps: float | None = None
    save: Path | None = None
    is_json: bool = False
    shows_reasoning: bool = True
    shows_stats: bool = False


class _Parser(argparse.ArgumentParser):
    """argparse, with errors in one line."""

    def error(self, message: str) -> NoReturn:
        print(f"edge.chat: {message}. See {PROGRAM} --help.", file=sys.stderr)
        raise SystemExit(2)


def parse_arguments(argv: Sequence[str] | None = None) -> ChatOptions:
    """Read the command line; exits with 2 and one line on stderr when it is wrong, with 0 after `--help`."""
    given = _make_parser().parse_args(argv)
    names = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "presence_penalty", "seed")
    return ChatOptions(
        model=given.model,
        projector=given.mmproj,
        adapter=given.adapter,
        prompt=given.prompt,
        images=tuple(given.image),
        videos=tuple(given.video),
        system=given.system,
        max_tokens=given.max_tokens,
        thinking_budget=given.thinking_budget,
        stop=tuple(given.stop),
        sampling={name: value for name in names if (value := getattr(given, name)) is not None},
        min_pixels=given.min_pixels,
        max_pixels=given.max_pixels,
        fps=given.fps,
        save=given.save,
        is_json=given.json,
        shows_reasoning=given.reasoning,
        shows_stats=given.stats,
    )


def _make_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=PROGRAM,
        usage="%(prog)s [--model FOLDER_OR_ID] [--image F]... [--video F]... [options] [PROMPT]",
        description="Ask a Qwen3-VL checkpoint about pictures, videos and text, on this computer.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("prompt", metavar="PROMPT", nargs="?", help="the question; without it, talk (or read a pipe)")
    parser.add_argument(
        "--model", metavar="FOLDER_OR_ID", help="model folder, .gguf file or hub id (default: the demo checkpoint)"
    )
    parser.add_argument("--mmproj", metavar="FILE", type=Path, help="projector of a GGUF model (default: beside it)")
    parser.add_argument("--adapter", metavar="FOLDER", help="LoRA adapter, merged while the weights are read")
    parser.add_argument("--image", metavar="F", type=Path, action="append", default=[], help="a picture; repeatable")
    parser.add_argument("--video", metavar="F", type=Path, action="append", default=[], help="a video; repeatable")
    parser.add_argument("--system", metavar="TEXT", help="system message")
    _add_answer_options(parser)
    media = parser.add_argument_group("pictures and videos (default: the checkpoint's; videos: all frames together)")
    media.add_argument("--min-pixels", metavar="N", type=int, help="enlarge smaller pictures to N pixels")
    media.add_argument("--max-pixels", metavar="N", type=int, help="shrink larger pictures to N pixels (1024 a token)")
    media.add_argument("--fps", metavar="X", type=float, help="frames taken from a video per second")
    output = parser.add_argument_group("output")
    output.add_argument("--json", action="store_true", help="one JSON object on stdout")
    output.add_argument("--no-reasoning", dest="reasoning", action="store_false", help="do not show the thought")
    output.add_argument("--stats", action="store_true", help="tokens, speeds and peak memory on stderr")
    output.add_argument("--save", metavar="FILE", type=Path, help="a new file for the talk (JSON lines)")
    return parser


def _add_answer_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("answer (default: the checkpoint's generation_config.json)")
    group.add_argument("--max-tokens", metavar="N", type=int, help="most tokens to generate, thought included")
    group.add_argument("--thinking-budget", metavar="N", type=int, help="close the thought after N tokens")
    group.add_argument("--stop", metavar="TEXT", action="append", default=[], help="end the answer here; repeatable")
    group.add_argument("--temperature", metavar="X", type=float, help="0 takes the most likely token")
    group.add_argument("--top-p", metavar="X", type=float, help="keep the most likely tokens up to this mass")
    group.add_argument("--top-k", metavar="N", type=int, help="keep the N most likely tokens; 0 keeps all")
    group.add_argument("--min-p", metavar="X", type=float, help="drop tokens below X times the best one")
    group.add_argument("--repetition-penalty", metavar="X", type=float, help="over 1 discourages seen tokens")
    group.add_argument("--presence-penalty", metavar="X", type=float, help="1.5 is Qwen's advice for Instruct models")
    group.add_argument("--seed", metavar="N", type=int, help="same seed, same answer")
