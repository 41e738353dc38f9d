from __future__ import annotations

import io

import pytest

from edge.chat.screen.screen import Screen
from tests.unit.chat.screen.consoles import shown, terminal


def test_a_pipe_gets_the_answer_alone_and_unchanged() -> None:
    out, err = io.StringIO(), io.StringIO()
    screen = Screen(out, err)
    screen.reasoning("Let me see")
    screen.answer("A\x1b[31m **c**")
    screen.answer("at.")
    screen.end_line()
    assert out.getvalue() == "A\x1b[31m **c**at.\n"
    assert err.getvalue() == "Let me see\n\n"


def test_an_answer_that_ends_its_line_gets_no_second_newline() -> None:
    out = io.StringIO()
    screen = Screen(out, io.StringIO())
    screen.answer("A cat.\n")
    screen.end_line()
    assert out.getvalue() == "A cat.\n"


def test_thought_and_answer_stand_apart_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    console, _ = terminal(monkeypatch)
    screen = Screen(console, console)
    screen.reasoning("Let me")
    screen.reasoning(" see")
    screen.answer("A **cat**.")
    screen.note("a note")
    assert shown(console.getvalue()) == ["│ Let me see", "", "A cat.", "a note"]


def test_a_dumb_terminal_gets_words_wrapped_and_no_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    console, _ = terminal(monkeypatch, columns=20, term="dumb")
    screen = Screen(console, console)
    screen.answer("A **cat** sits on a ")
    screen.answer("mat.")
    screen.end_line()
    assert console.getvalue() == "A **cat** sits on a\nmat.\n"


def test_an_indented_line_keeps_to_the_width_with_its_indent(monkeypatch: pytest.MonkeyPatch) -> None:
    console, _ = terminal(monkeypatch, columns=20, term="dumb")
    Screen(console, console, thoughts="show").plain("    aaaa bbbb cccc ddd e")
    assert console.getvalue() == "    aaaa bbbb cccc\nddd e\n"


def test_a_failure_is_one_line() -> None:
    err = io.StringIO()
    Screen(io.StringIO(), err).error("two\nlines")
    assert err.getvalue() == "edge.chat: two lines\n"


def test_a_failure_after_a_piece_of_answer_begins_its_own_line() -> None:
    out, err = io.StringIO(), io.StringIO()
    screen = Screen(out, err)
    screen.answer("half an ans")
    screen.error("failed")
    assert out.getvalue() == "half an ans\n"


def test_nothing_of_the_answer_is_shown_where_json_is_written() -> None:
    out, err = io.StringIO(), io.StringIO()
    screen = Screen(out, err)
    screen.shows_answers = False
    screen.reasoning("hm")
    screen.answer("A cat.")
    screen.end_line()
    assert (out.getvalue(), err.getvalue()) == ("", "")
