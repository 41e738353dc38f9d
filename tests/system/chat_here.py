"""Run the chat in the tests' own process, for what is the same in one of its own, whose start costs more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge.chat.__main__ import main
from tests.system.chat_process import Finished, environment
from tests.system.in_process import run_here


def run_chat_here(arguments: Sequence[str | Path], *, data: Path, stdin: str = "") -> Finished:
    """Run to the end with stdin from a pipe, as `run_chat` does."""
    words = [str(word) for word in arguments]
    return run_here(lambda: main(words), stdin=stdin, environment=environment(data))
