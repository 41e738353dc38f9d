from __future__ import annotations

import io

import pytest

from edge.chat.screen.streams import DIM, Stream, clean
from tests.unit.chat.screen.consoles import terminal


@pytest.mark.parametrize("hostile", ["\x1b]0;title\x07", "\x1b[2J", "\x9b31m", "a\rb", "\x08", "\u202e", "\u2066"])
def test_a_terminal_gets_no_control_characters_from_the_model(hostile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    console, stream = terminal(monkeypatch)
    stream.write(f"x{hostile}y\tz\n")
    assert not any(character in console.getvalue() for character in "\x1b\x07\x9b\r\x08\u202e\u2066")
    assert clean(hostile) == clean(clean(hostile))


def test_a_pipe_gets_everything_as_it_is() -> None:
    out = io.StringIO()
    Stream(out).write("A\x1b[31m c")
    assert out.getvalue() == "A\x1b[31m c"


def test_what_the_encoding_lacks_becomes_an_escape() -> None:
    raw = io.BytesIO()
    stream = Stream(io.TextIOWrapper(raw, encoding="latin-1"))
    stream.write("é € \udcff")
    assert raw.getvalue() == b"\xe9 \\u20ac \\udcff"
    assert stream.shows("é")
    assert not stream.shows("│")


@pytest.mark.parametrize(
    ("term", "no_color", "moves", "styles"),
    [("xterm", "", True, True), ("xterm", "1", True, False), ("dumb", "", False, False)],
)
def test_styles_and_movement_are_for_terminals_that_have_them(
    monkeypatch: pytest.MonkeyPatch, term: str, no_color: str, moves: bool, styles: bool
) -> None:
    console, _ = terminal(monkeypatch, term=term)
    if no_color:
        monkeypatch.setenv("NO_COLOR", no_color)
    stream = Stream(console)
    assert (stream.can_move, stream.has_styles) == (moves, styles)
    assert (DIM in stream.styled("x", DIM)) == styles
