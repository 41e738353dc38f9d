"""Ask the user whether a tool may run; only the user can say yes, so what was typed before the question counts not."""

from __future__ import annotations

import sys
from typing import Literal

from edge.chat.screen.keys import echo
from edge.chat.screen.screen import Screen
from edge.units import one_line

Consent = Literal["yes", "no", "always"]
ANSWERS: dict[str, Consent] = {"y": "yes", "yes": "yes", "a": "always", "always": "always"}


def can_ask(screen: Screen) -> bool:
    """Whether somebody sits there who can read a question and answer it."""
    return screen.err.is_terminal and sys.stdin is not None and sys.stdin.isatty()


def ask_consent(screen: Screen, name: str) -> Consent:
    """Ask until an answer comes; an empty line and the end of the input are a no.

    Args:
        screen: Where the question is written.
        name: The tool's name.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed.
    """
    screen.end_line()
    with echo(is_shown=True, drops_typed=True):  # during an answer keys are silent
        screen.err.write_raw(f"Run it? [y]es, [N]o, [a]lways {one_line(name, max_characters=60)}: ")
        line = sys.stdin.readline()
    if not line.endswith("\n"):
        screen.err.write_raw("\n")
    return ANSWERS.get(line.strip().lower(), "no")
