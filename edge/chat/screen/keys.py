"""Say whether keys are shown while they are typed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def echo(*, is_shown: bool, drops_typed: bool = False) -> Iterator[None]:
    """Show keys that are typed, or keep them silent, until the end of the block; nothing where there is no terminal.

    Args:
        is_shown: Whether keys appear.
        drops_typed: Forget what was typed before.
    """
    try:
        import termios

        number = sys.stdin.fileno()
        before = termios.tcgetattr(number)
    except (ImportError, OSError, ValueError, AttributeError, termios.error):
        yield
        return
    changed = list(before)
    changed[3] = changed[3] | termios.ECHO if is_shown else changed[3] & ~termios.ECHO
    if drops_typed:
        termios.tcflush(number, termios.TCIFLUSH)
    termios.tcsetattr(number, termios.TCSANOW, changed)
    try:
        yield
    finally:
        with suppress(termios.error):  # the terminal may be gone
            termios.tcsetattr(number, termios.TCSANOW, before)
