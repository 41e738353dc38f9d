"""Streams that look like terminals, and a screen to read what they show."""

from __future__ import annotations

import io

import pyte
import pytest

from edge.chat.screen.streams import Stream


class Console(io.StringIO):
    """A terminal of a fixed size."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def terminal(monkeypatch: pytest.MonkeyPatch, *, columns: int = 80, term: str = "xterm") -> tuple[Console, Stream]:
    """Make a terminal and a stream on it."""
    monkeypatch.setenv("TERM", term)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", "24")
    console = Console()
    return console, Stream(console)


def shown(text: str, *, columns: int = 80, rows: int = 24) -> list[str]:
    """Return all lines a terminal shows after a text was written to it, those that scrolled away too."""
    screen = pyte.HistoryScreen(columns, rows, history=10_000)
    pyte.Stream(screen).feed(text.replace("\n", "\r\n"))
    old = ["".join(line[x].data for x in range(columns)).rstrip() for line in screen.history.top]
    lines = [*old, *(line.rstrip() for line in screen.display)]
    while lines and not lines[-1]:
        lines.pop()
    return lines
