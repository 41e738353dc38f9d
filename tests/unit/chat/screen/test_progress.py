from __future__ import annotations

import io

import pytest

from edge.chat.screen import progress
from edge.chat.screen.progress import ProgressLine, Waiting
from edge.chat.screen.streams import Stream
from edge.events import ProgressEvent
from tests.unit.chat.screen.consoles import shown, terminal


def test_slow_work_shows_how_far_it_is_and_goes_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE_S", -1.0)
    monkeypatch.setattr(progress, "REDRAW_S", -1.0)
    console, stream = terminal(monkeypatch)
    line = ProgressLine(stream)
    line.show(ProgressEvent("vision", 5, 10))
    assert shown(console.getvalue()) == ["looking at the pictures [##########..........] 50%"]
    line.show(ProgressEvent("prefill", 100, 400))
    assert shown(console.getvalue()) == ["reading the prompt [#####...............] 100/400 tokens"]
    line.show(ProgressEvent("queued", 0, 2))
    assert shown(console.getvalue()) == ["waiting for 2 before this"]
    line.clear()
    assert shown(console.getvalue()) == []


def test_quick_work_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    console, stream = terminal(monkeypatch)
    ProgressLine(stream).show(ProgressEvent("vision", 5, 10))
    with Waiting(stream, "loading"):
        pass
    assert console.getvalue() == ""


@pytest.mark.parametrize("term", ["dumb", ""])
def test_pipes_and_dumb_terminals_get_nothing(monkeypatch: pytest.MonkeyPatch, term: str) -> None:
    monkeypatch.setattr(progress, "PATIENCE_S", -1.0)
    out = io.StringIO()
    stream = Stream(out)
    if term:
        console, stream = terminal(monkeypatch, term=term)
        out = console
    ProgressLine(stream).show(ProgressEvent("vision", 5, 10))
    assert out.getvalue() == ""
