"""Ask the user whether a tool may run; only the user can say yes, so what was typed before the question counts not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

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
    with _fresh_keys():
        screen.err.write_raw(f"Run it? [y]es, [N]o, [a]lways {one_line(name, max_characters=60)}: ")
        line = sys.stdin.readline()
    if not line.endswith("\n"):
        screen.err.write_raw("\n")
    return ANSWERS.get(line.strip().lower(), "no")


@contextmanager
def _fresh_keys() -> Iterator[None]:
    """Drop what was typed already, and show what is typed now: during an answer keys are silent."""
    try:
        import termios

        number = sys.stdin.fileno()
        before = termios.tcgetattr(number)
    except (ImportError, OSError, ValueError, AttributeError, termios.error):
        yield
        return
    loud = list(before)
    loud[3] |= termios.ECHO
    termios.tcflush(number, termios.TCIFLUSH)
    termios.tcsetattr(number, termios.TCSANOW, loud)
    try:
        yield
    finally:
        termios.tcsetattr(number, termios.TCSANOW, before)
