"""Ctrl-C: the first one is an exception, the second one the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from convert.interrupt import INTERRUPTED, end_at_second_interrupt, explain_interrupt, hold_interrupts

HANGING = """
import sys, time
from pathlib import Path
from convert.interrupt import end_at_second_interrupt, explain_interrupt
with end_at_second_interrupt(), explain_interrupt(Path("place")):
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("tidying up", flush=True)
        time.sleep(60)
"""


def test_a_second_interrupt_ends_a_program_that_tidies_up() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HANGING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in ("ready\n", "tidying up\n"):
        assert process.stdout.readline() == line
        process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=20)
    assert process.returncode == INTERRUPTED
    assert error == "\nInterrupted. What is done is kept in place; run the same command again to go on.\n"


def test_the_first_interrupt_says_where_the_work_lies_and_the_handler_is_put_back() -> None:
    former = signal.getsignal(signal.SIGINT)
    with end_at_second_interrupt():
        assert signal.getsignal(signal.SIGINT) is not former
    assert signal.getsignal(signal.SIGINT) is former
    try:
        with (
            pytest.raises(KeyboardInterrupt, match=r"kept in place; run"),
            end_at_second_interrupt(),
            explain_interrupt(Path("place")),
        ):
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, former)


def test_an_interrupt_waits_until_processes_have_been_started() -> None:
    done = []
    is_held = threading.Event()

    def take_it() -> None:
        is_held.wait(20)
        signal.raise_signal(signal.SIGINT)  # in a thread that does not block it: begun before the block

    other = threading.Thread(target=take_it)
    other.start()

    def start() -> None:
        with hold_interrupts():
            is_held.set()
            other.join(20)
            time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGINT)
            done.append("all")

    with pytest.raises(KeyboardInterrupt):
        start()
    assert done == ["all"]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, set())


def test_without_an_interrupt_the_handler_is_put_back() -> None:
    former = signal.getsignal(signal.SIGINT)
    with hold_interrupts():
        assert signal.getsignal(signal.SIGINT) is not former
    assert signal.getsignal(signal.SIGINT) is former
