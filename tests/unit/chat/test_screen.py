from __future__ import annotations

import io

import pytest

from edge.chat.screen import Screen, describe_usage
from edge.events import Usage


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_pipe_gets_the_answer_alone_and_unchanged() -> None:
    out, err = io.StringIO(), io.StringIO()
    screen = Screen(out, err)
    screen.reasoning("Let me see")
    screen.answer("A\x1b[31m c")
    screen.answer("at.")
    screen.end_line()
    assert out.getvalue() == "A\x1b[31m cat.\n"
    assert err.getvalue() == "Let me see\n\n"


def test_an_answer_that_ends_its_line_gets_no_second_newline() -> None:
    out = io.StringIO()
    screen = Screen(out, io.StringIO())
    screen.answer("A cat.\n")
    screen.end_line()
    assert out.getvalue() == "A cat.\n"


def test_reasoning_is_dim_and_apart_on_a_terminal() -> None:
    terminal = Terminal()
    screen = Screen(terminal, terminal)
    screen.reasoning("Let me")
    screen.reasoning(" see")
    screen.answer("A cat.")
    screen.end_line()
    assert terminal.getvalue() == "\x1b[2mLet me see\x1b[0m\n\nA cat.\n"


def test_dim_ends_when_the_thought_was_cut() -> None:
    terminal = Terminal()
    screen = Screen(terminal, terminal)
    screen.reasoning("Let me")
    screen.end_line()
    assert terminal.getvalue() == "\x1b[2mLet me\x1b[0m\n\n"


@pytest.mark.parametrize("hostile", ["\x1b]0;title\x07", "\x1b[2J", "\x9b31m", "a\rb", "\x08"])
def test_a_terminal_gets_no_control_characters_from_the_model(hostile: str) -> None:
    terminal = Terminal()
    Screen(terminal, terminal).answer(f"x{hostile}y\tz\n")
    written = terminal.getvalue()
    assert not any(character in written for character in "\x1b\x07\x9b\r\x08")
    assert written.endswith("y\tz\n")


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


def test_usage_is_one_line_with_speeds() -> None:
    line = describe_usage(
        Usage(
            prompt_tokens=120,
            cached_tokens=20,
            completion_tokens=11,
            reasoning_tokens=0,
            vision_runs=1,
            prompt_s=0.25,
            queue_s=0.0,
            vision_s=0.25,
            prefill_s=0.5,
            first_token_s=1.0,
            decode_s=2.0,
            peak_bytes=1_500_000_000,
        )
    )
    assert "prompt 120 tokens (20 kept)" in line
    assert "200 tokens/s" in line
    assert "5.0 tokens/s" in line
    assert "first token 1.00 s" in line
    assert "1.50 GB" in line
