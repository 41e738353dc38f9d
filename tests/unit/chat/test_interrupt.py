from __future__ import annotations

import os
import signal
import threading

import pytest

from edge.chat.interrupt import cancel_on_interrupt


def test_the_first_interrupt_cancels_and_the_second_ends() -> None:
    cancel = threading.Event()
    with cancel_on_interrupt(cancel):
        os.kill(os.getpid(), signal.SIGINT)
        assert cancel.is_set()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_afterwards_interrupts_are_as_before() -> None:
    before = signal.getsignal(signal.SIGINT)
    with cancel_on_interrupt(threading.Event()):
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
