"""Keys are silent or shown for the length of a block, on a pseudo-terminal, and as before after it."""

from __future__ import annotations

import io
import os
import pty
import select
import sys
import termios
from collections.abc import Iterator

import pytest

from edge.chat.screen.keys import echo


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """Both ends: where keys are typed, and where the program reads them."""
    typed, read = pty.openpty()
    with os.fdopen(os.dup(read)) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        yield typed, read
    os.close(typed)
    os.close(read)


def is_echoing(number: int) -> bool:
    return bool(termios.tcgetattr(number)[3] & termios.ECHO)


@pytest.mark.parametrize("is_shown", [True, False])
def test_the_terminal_is_as_before_after_the_block(terminal: tuple[int, int], is_shown: bool) -> None:
    before = termios.tcgetattr(terminal[1])
    seen = []

    def fail() -> None:
        with echo(is_shown=is_shown):
            seen.append(is_echoing(terminal[1]))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert seen == [is_shown]
    assert termios.tcgetattr(terminal[1]) == before


@pytest.mark.parametrize("drops", [True, False])
def test_what_was_typed_is_dropped_on_request(terminal: tuple[int, int], drops: bool) -> None:
    os.write(terminal[0], b"early\n")
    assert select.select([terminal[1]], [], [], 5)[0]
    with echo(is_shown=True, drops_typed=drops):
        assert bool(select.select([terminal[1]], [], [], 0.2)[0]) is not drops


def test_without_a_terminal_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("text"))
    with echo(is_shown=False):
        assert sys.stdin.read() == "text"
