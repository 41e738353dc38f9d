from __future__ import annotations

import io

import pytest

from edge.chat.screen.streams import Stream
from edge.chat.screen.thought import ThoughtWriter
from tests.unit.chat.screen.consoles import shown, terminal


def test_a_shown_thought_stands_behind_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    console, stream = terminal(monkeypatch, columns=20)
    writer = ThoughtWriter(stream, "show")
    for piece in ("Let me see", " whether it\nfits on only one", " line."):
        writer.feed(piece)
    writer.finish()
    assert shown(console.getvalue(), columns=20) == ["│ Let me see", "│ whether it", "│ fits on only one", "│ line."]
    assert console.getvalue().endswith("\n\n")


def test_a_dumb_terminal_gets_bars_and_no_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    console, stream = terminal(monkeypatch, term="dumb")
    writer = ThoughtWriter(stream, "show")
    writer.feed("hm")
    writer.finish()
    assert console.getvalue() == "│ hm\n\n"


def test_a_folded_thought_is_one_line_with_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    console, stream = terminal(monkeypatch)
    writer = ThoughtWriter(stream, "fold", hint=" (/thought shows it)")
    for piece in ("Let me s", "ee.\n", "Well", ""):
        writer.feed(piece)
    writer.finish()
    (line,) = shown(console.getvalue())
    assert line.startswith("thought: 4 words, 0.")
    assert line.endswith("(/thought shows it)")


@pytest.mark.parametrize("view", ["hide", "fold", "show"])
def test_no_thought_leaves_no_line(monkeypatch: pytest.MonkeyPatch, view: str) -> None:
    console, stream = terminal(monkeypatch)
    ThoughtWriter(stream, view).finish()  # type: ignore[arg-type]  # one of the three
    assert console.getvalue() == ""


def test_a_hidden_thought_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    console, stream = terminal(monkeypatch)
    writer = ThoughtWriter(stream, "hide")
    writer.feed("secret")
    writer.finish()
    assert console.getvalue() == ""


def test_a_pipe_gets_the_thought_as_it_is() -> None:
    out = io.StringIO()
    writer = ThoughtWriter(Stream(out), "show")
    writer.feed("Let me see")
    writer.finish()
    assert out.getvalue() == "Let me see\n\n"
