"""Read the command line of `python -m edge.chat`.

In: argv. Out: `ChatOptions`. Nothing heavy is imported here, so `--help` and a wrong flag answer at once.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge.chat.options import ChatOptions, Think
from edge.units import token_count
from edge.usage import OneLineParser
from edge.version import add_version_argument

PROGRAM = "python -m edge.chat"
SAMPLING = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "presence_penalty", "seed")
KV_BITS_HELP = "bits of keys and values: 8 takes half their memory, 4 a third and costs quality (default: 16)"
EXAMPLES = (
    """\
examples:
  python -m edge.chat
      talk with the small embedded demo checkpoint; drop a picture onto the terminal, ask about it
  python -m edge.chat --model 8b "photo.jpg What is in this picture?"
      one answer; files may stand anywhere in the question
  python -m edge.chat --model 30b
      talk with Qwen3-VL-30B-A3B; a download is announced with its size first and runs offline afterwards
  python -m edge.chat --model ./my-model --image a.png --image b.png "Compare them." > answer.txt
      the answer goes to the file; thought, notes and errors stay on the terminal
  git diff | python -m edge.chat --model 8b "What does this change?"
      piped text is joined to the question; without one it is the question; "--image -" takes a picture
  python -m edge.chat --model 8b --pdf report.pdf:2-4 --schema invoice.json "Read the invoice."
      pages of a document; the answer obeys the JSON Schema
  python -m edge.chat --model 8b --video talk.mp4 --fps 1 --json "Summarize." | jq .answer
      machine-readable: answer, reasoning, usage, finish reason
  python -m edge.chat --model 8b --tools builtin --yes "Add up the numbers in bill.txt."
      the model reads below this folder and computes; without --yes each call is asked about
  python -m edge.chat --continue
      go on with the last talk, pictures and all

in a talk: /help lists the commands; Ctrl-C stops an answer and keeps it; """
    + '"""'
    + """ begins and ends several lines.
`edge` and `edge chat` are short for python -m edge.chat.
exit status: 0 done, 1 failure (one line on stderr), 2 wrong usage, 130 interrupted.
"""
)


class _Help(argparse.RawDescriptionHelpFormatter):
    """Examples stay as they are, and the options' names get room."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)


def parse_arguments(argv: Sequence[str] | None = None) -> ChatOptions:
    """Read the command line; exits with 2 and one line on stderr when it is wrong, with 0 after `--help`."""
    parser = _make_parser()
    given = parser.parse_args(argv)
    if len(given.prompt) > 1:
        words = " ".join(given.prompt)
        shown = words if len(words) <= 60 else words[:57] + "..."
        parser.error(f'expected one PROMPT, found {len(given.prompt)} words; put the question in quotes: "{shown}"')
    if given.goes_on and given.session is not None:
        parser.error("--continue goes on with the last talk, --session with a named one; give one of them")
    if not given.is_saved and (given.goes_on or given.session is not None):
        parser.error("--no-save saves nothing, so it does not go with --continue or --session")
    models_dir = given.models_dir or os.environ.get("EDGE_MODELS")
    return ChatOptions(
        model=given.model,
        projector=given.mmproj,
        adapter=given.adapter,
        models_dir=Path(models_dir).expanduser() if models_dir else None,
        prompt=given.prompt[0] if given.prompt else None,
        images=tuple(given.image),
        videos=tuple(given.video),
        pdfs=tuple(given.pdf),
        system=given.system,
        max_tokens=given.max_tokens,
        think=given.think,
        stop=tuple(given.stop),
        sampling={name: value for name in SAMPLING if (value := getattr(given, name)) is not None},
        min_pixels=given.min_pixels,
        max_pixels=given.max_pixels,
        fps=given.fps,
        schema=given.schema,
        guards_loops=given.loop_guard,
        context=given.context,
        kv_bits=given.kv_bits,
        draft=given.draft,
        speculates=given.speculates,
        wires=given.wire,
        save=given.save,
        session=given.session,
        goes_on=given.goes_on,
        is_saved=given.is_saved,
        output=given.output,
        thoughts=given.thoughts,
        renders_markdown=given.markdown,
        shows_stats=given.stats,
        shows_previews=given.previews,
        agrees=given.yes,
        tools=tuple(given.tools),
        servers=tuple(given.mcp),
    )


def read_think(text: str) -> Think:
    """Read the value of `--think` and `/think`: on, off, auto, or a number of tokens.

    Raises:
        ValueError: It is none of them.
    """
    word = text.strip().lower()
    if word == "on":
        return "on"
    if word == "auto":
        return "auto"
    if word == "off":
        return 0
    tokens = int(word)
    if tokens < 0:
        raise ValueError(text)
    return tokens


def read_schema(text: str) -> dict[str, Any] | str:  # Any: JSON
    """Read the value of `--schema` and `/schema`: the word json, or a file with a JSON Schema.

    Raises:
        ValueError: The file cannot be read or holds no JSON object; the message says which.
    """
    if text.strip().lower() == "json":
        return "json"
    path = Path(text).expanduser()
    try:
        schema = json.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}). Give a file with a JSON Schema.") from None
    except ValueError as error:
        raise ValueError(f"{path}: expected a JSON Schema, found no JSON ({error}).") from None
    if not isinstance(schema, dict):
        raise ValueError(f"{path}: expected a JSON Schema (an object), found {type(schema).__name__}.")
    return schema


def _think(text: str) -> Think:
    try:
        return read_think(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected on, off, auto or a number of tokens of at least 0, found {text!r}"
        ) from None


def _schema(text: str) -> dict[str, Any] | str:  # Any: JSON
    try:
        return read_schema(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).rstrip(".")) from None


def _make_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog=PROGRAM,
        usage="%(prog)s [--model NAME] [--image FILE]... [options] [PROMPT]",
        description="Ask a Qwen3-VL checkpoint about pictures, videos, documents and text, on this computer. "
        "With PROMPT (or piped text) it answers once, without it you talk.",
        epilog=EXAMPLES,
        formatter_class=_Help,
        allow_abbrev=False,
    )
    add_version_argument(parser)
    parser.add_argument(
        "prompt", metavar="PROMPT", nargs="*", help="the question, in quotes; without one, or with files only, talk"
    )
    _add_model_options(parser)
    media = parser.add_argument_group("what is shown (paths may also stand in a question)")
    media.add_argument(
        "--image", metavar="FILE", action="append", default=[], help="a picture, - for the pipe; repeatable"
    )
    media.add_argument(
        "--video", metavar="FILE", action="append", default=[], help="a video, - for the pipe; repeatable"
    )
    media.add_argument(
        "--pdf", metavar="FILE[:PAGES]", action="append", default=[], help="pages of a document, as 1,3-5"
    )
    media.add_argument(
        "--min-pixels", metavar="N", type=int, help="enlarge smaller pictures to N pixels (1048576: exact boxes)"
    )
    media.add_argument(
        "--max-pixels", metavar="N", type=int, help="shrink larger pictures to N pixels (1024 make a token)"
    )
    media.add_argument("--fps", metavar="X", type=float, help="frames taken from a video per second")
    _add_answer_options(parser)
    _add_tool_options(parser)
    _add_output_options(parser)
    talks = parser.add_argument_group("talks (saved as they go, see the first screen)")
    talks.add_argument("--continue", dest="goes_on", action="store_true", help="go on with the last talk")
    talks.add_argument("--session", metavar="NAME", help="go on with the talk NAME, or begin one of that name")
    talks.add_argument(
        "--no-save", "--incognito", dest="is_saved", action="store_false", help="write nothing to the disk"
    )
    talks.add_argument("--save", metavar="FILE", type=Path, help="a new file that gets the messages too (JSON lines)")
    return parser


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        metavar="NAME",
        help="a short name (2b 4b 8b 32b 30b 235b, then perhaps -instruct or -thinking, then perhaps -4bit, -bf16 or "
        "-fp8), a folder, a .gguf file, a hub id or demo (default: demo)",
    )
    group.add_argument("--models-dir", metavar="FOLDER", help="a folder with models (default: $EDGE_MODELS)")
    group.add_argument("--mmproj", metavar="FILE", type=Path, help="projector of a GGUF model (default: beside it)")
    group.add_argument("--adapter", metavar="FOLDER", help="LoRA adapter, merged while the weights are read")
    group.add_argument(
        "--context",
        metavar="N",
        type=token_count,
        help="most tokens of prompt and answer together, such as 32k; above the model's own, up to four times (1m), "
        "its positions are stretched by YaRN",
    )
    group.add_argument("--kv-bits", metavar="8|4", type=int, choices=(8, 4), help=KV_BITS_HELP)
    group.add_argument("--draft", metavar="NAME", help="a small model of the same vocabulary that guesses tokens ahead")
    group.add_argument(
        "--no-speculate", dest="speculates", action="store_false", help="one token a step, and no guesses"
    )
    group.add_argument("--wire", action="store_true", help="Mac only: keep the model from being paged out (risky)")
    group.add_argument("--yes", action="store_true", help="download and run tools without asking")


def _add_answer_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("answer (default: the checkpoint's generation_config.json)")
    group.add_argument("--system", metavar="TEXT", help="system message: how to answer")
    group.add_argument("--max-tokens", metavar="N", type=int, help="most tokens to generate, thought included")
    group.add_argument(
        "--think",
        metavar="N|off|on",
        type=_think,
        default="auto",
        help="close the thought after N tokens (default: leave room for an answer)",
    )
    group.add_argument("--thinking-budget", dest="think", type=_think, default="auto", help=argparse.SUPPRESS)
    group.add_argument("--schema", metavar="FILE", type=_schema, help="a JSON Schema for the answer, or: json")
    group.add_argument(
        "--no-loop-guard", dest="loop_guard", action="store_false", help="do not end what repeats itself without end"
    )
    group.add_argument("--stop", metavar="TEXT", action="append", default=[], help="end the answer here; repeatable")
    group.add_argument("--temperature", metavar="X", type=float, help="0 takes the most likely token")
    group.add_argument("--top-p", metavar="X", type=float, help="keep the most likely tokens up to this mass")
    group.add_argument("--top-k", metavar="N", type=int, help="keep the N most likely tokens; 0 keeps all")
    group.add_argument("--min-p", metavar="X", type=float, help="drop tokens below X times the best one")
    group.add_argument("--repetition-penalty", metavar="X", type=float, help="over 1 discourages seen tokens")
    group.add_argument("--presence-penalty", metavar="X", type=float, help="1.5 is Qwen's advice for Instruct models")
    group.add_argument("--seed", metavar="N", type=int, help="same seed, same answer")


def _add_tool_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("tools (each call is shown, and asked about unless --yes)")
    group.add_argument(
        "--tools",
        metavar="FILE.py",
        action="append",
        default=[],
        help="typed functions the model may call; builtin: calculator, list_files, read_file; repeatable",
    )
    group.add_argument(
        "--mcp", metavar="COMMAND|URL", action="append", default=[], help="tools of an MCP server; repeatable"
    )


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument(
        "--json", dest="output", action="store_const", const="json", default="text", help="one JSON object on stdout"
    )
    group.add_argument(
        "--json-events", dest="output", action="store_const", const="events", help="a JSON object a line, as it comes"
    )
    group.add_argument(
        "--thoughts",
        metavar="show|fold|hide",
        choices=("show", "fold", "hide"),
        help="the thought: whole, in one line, or not (default: fold in a talk, else show)",
    )
    group.add_argument("--no-reasoning", dest="thoughts", action="store_const", const="hide", help=argparse.SUPPRESS)
    group.add_argument("--no-markdown", dest="markdown", action="store_false", help="the answer as the model wrote it")
    group.add_argument(
        "--no-previews", dest="previews", action="store_false", help="show no pictures of a question in the terminal"
    )
    group.add_argument("--stats", action="store_true", help="tokens, speeds, first token and peak memory on stderr")
