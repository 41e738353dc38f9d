from __future__ import annotations

import io
import os
import pty
import sys
from collections.abc import Callable

import pytest

from edge.chat.calls.consent import ask_consent, can_ask
from edge.chat.screen.screen import Screen


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("y\n", "yes"), ("YES\n", "yes"), ("a\n", "always"), ("\n", "no"), ("n\n", "no"), ("yep\n", "no"), ("", "no")],
)
def test_only_a_clear_yes_counts(typed: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    err = io.StringIO()
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    assert ask_consent(Screen(io.StringIO(), err), "double") == expected
    assert "[a]lways double" in err.getvalue()


def test_a_pipe_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert not can_ask(Screen(io.StringIO(), io.StringIO()))


def test_what_was_typed_before_the_question_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    terminal = open(theirs, closefd=True)  # noqa: SIM115  closed below
    monkeypatch.setattr(sys, "stdin", terminal)
    os.write(ours, b"y\n")
    err = _Answering(lambda: os.write(ours, b"n\n"))
    assert ask_consent(Screen(io.StringIO(), err), "double") == "no"
    terminal.close()
    os.close(ours)


def test_a_name_with_escapes_is_shown_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    err = io.StringIO()
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    ask_consent(Screen(io.StringIO(), err), "a\x1b[2Jb")
    assert "\x1b" not in err.getvalue()


class _Answering(io.StringIO):
    """A stream whose reader answers once the question is there."""

    def __init__(self, answer: Callable[[], object]) -> None:
        super().__init__()
        self._answer = answer

    def write(self, text: str) -> int:
        written = super().write(text)
        if text.endswith(": "):
            self._answer()
        return written
