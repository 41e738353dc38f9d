"""`edge COMMAND`, or `python -m edge COMMAND`: start one of the programs; without a command, the chat."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec

from edge.usage import end_of_pipe
from edge.version import describe_version

# command -> the sentence shown in --help; each is `python -m edge.COMMAND`
COMMANDS = {
    "chat": "ask a checkpoint about pictures, videos and text, or talk with it",
    "server": "serve checkpoints to programs and browsers on this computer",
    "plan": "say what a model needs and whether it fits, before anything is downloaded",
    "bench": "measure speed and memory on this computer",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program that the first word names, or the chat with a question; return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _run(words)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        return end_of_pipe()


def _run(words: list[str]) -> int:
    name = words[0] if words else "chat"
    if name in ("-h", "--help"):
        print(_overview())
        return 0
    if name == "--version":
        print(describe_version())
        return 0
    if name not in _commands() and _is_for_chat(name):
        name, words = "chat", ["chat", *words]
    if name not in _commands():
        near = get_close_matches(name, _commands(), n=1)
        meant = f" Did you mean {near[0]}?" if near else ""
        known = ", ".join(_commands())
        print(
            f"edge: {name!r}: expected one of {known}, or a question of several words.{meant} See edge --help.",
            file=sys.stderr,
        )
        return 2
    status: int = import_module(f"edge.{name}.__main__").main(words[1:])
    return status


def _is_for_chat(word: str) -> bool:
    """Whether a first word is no command but the chat's: an option, a question of several words, or a file's name."""
    return word.startswith("-") or len(word.split()) > 1 or "." in word or os.path.isfile(word)


def _commands() -> list[str]:
    """Return the programs that are there."""
    return [name for name in COMMANDS if find_spec(f"edge.{name}") is not None]


def _overview() -> str:
    listed = "\n".join(f"  {name:8}{COMMANDS[name]}" for name in _commands())
    return (
        "usage: edge [COMMAND] [options]\n\n"
        'Run Qwen3-VL on this computer. Without a command: chat, so that `edge "photo.jpg What is this?"` answers.\n\n'
        f"commands (each with its own --help):\n{listed}\n\n"
        "options:\n  -h, --help  show this help message and exit\n  --version   show the version and exit\n\n"
        "edge-convert makes and checks checkpoints."
    )


if __name__ == "__main__":
    sys.exit(main())
