"""End a program at Ctrl-C: the first one lets the work come to an orderly end, the second one ends it at once.

A second Ctrl-C must not meet code that tidies up: an interrupted wait for workers or threads can hang for ever. Since
an unfinished output can go on after a kill at any moment, ending at once loses nothing.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130
_kept_in: list[Path] = []  # where unfinished work lies, the innermost last


@contextmanager
def end_at_second_interrupt() -> Iterator[None]:
    """Watch Ctrl-C while a program runs; after a first one has come to its end, further ones say nothing new."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers, and only there Ctrl-C arrives
        return
    num_presses = 0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal num_presses
        num_presses += 1
        if num_presses == 1:
            raise KeyboardInterrupt
        os.write(2, f"\n{describe_interrupt()}\n".encode(errors="replace"))
        os._exit(INTERRUPTED)

    former = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        # While it ends, Python gives its handlers back to the system, and a Ctrl-C would then kill it.
        signal.signal(signal.SIGINT, former if num_presses == 0 else signal.SIG_IGN)


@contextmanager
def hold_interrupts() -> Iterator[None]:
    """Let Ctrl-C wait until the block has ended; processes that are started in it never hear one.

    Blocking the signal in this thread is not enough: another thread may take it, and Python then runs the handler here.
    A process whose start is cut off gets half of what it is to read, and says so in a traceback.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # inherited by what is started
    is_main = threading.current_thread() is threading.main_thread()
    num_heard = 0

    def hear(number: int, frame: FrameType | None) -> None:
        nonlocal num_heard
        num_heard += 1

    former = signal.signal(signal.SIGINT, hear) if is_main else None
    try:
        yield
    finally:
        if is_main:
            signal.signal(signal.SIGINT, former)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if num_heard:
            signal.raise_signal(signal.SIGINT)


def end_program(code: int) -> NoReturn:
    """End the process with an exit code; after an interrupt without waiting for threads.

    A Ctrl-C can come while a library starts a thread, which then is in no list of those to be told of the end.
    """
    if code == INTERRUPTED:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


@contextmanager
def explain_interrupt(path: Path) -> Iterator[None]:
    """Say at Ctrl-C where the unfinished work lies.

    Raises:
        KeyboardInterrupt: The user interrupted, with a line that says how to go on.
    """
    _kept_in.append(path)
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(describe_interrupt()) from None
    finally:
        _kept_in.remove(path)


def describe_interrupt() -> str:
    """Write the line for the user."""
    if not _kept_in:
        return "Interrupted."
    return f"Interrupted. What is done is kept in {_kept_in[-1]}; run the same command again to go on."
