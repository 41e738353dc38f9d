from __future__ import annotations

import io
import sys

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
