from __future__ import annotations

import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from edge.chat.screen.line import LineReader, is_open, paste_mark, prompt_text
from tests.unit.chat.parrot import Talking

PASTE = "\x1b[200~{}\x1b[201~"


@pytest.fixture
def typing() -> Iterator[PipeInput]:
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        yield keys


def test_enter_sends_and_alt_enter_begins_a_new_line(typing: PipeInput, talking: Talking) -> None:
    typing.send_text("one\x1b\rtwo\r")
    assert LineReader(talking.talk).read() == "one\ntwo"


def test_three_quotes_begin_and_end_several_lines(typing: PipeInput, talking: Talking) -> None:
    typing.send_text('"""one\rtwo"""\r')
    assert LineReader(talking.talk).read() == '"""one\ntwo"""'


def test_a_large_paste_is_shown_by_its_size_and_comes_whole(typing: PipeInput, talking: Talking) -> None:
    text = "word\n" * 200_000
    keys = f"see {PASTE.format(text)} there\r"
    sender = threading.Thread(target=typing.send_text, args=(keys,))  # a pipe takes less at once
    sender.start()
    assert LineReader(talking.talk).read() == f"see {text} there"
    sender.join()


def test_a_small_paste_of_several_lines_is_not_sent_by_itself(typing: PipeInput, talking: Talking) -> None:
    typing.send_text(PASTE.format("a\r\nb") + "!\r")
    assert LineReader(talking.talk).read() == "a\nb!"


def test_a_line_that_failed_comes_back_to_be_changed(typing: PipeInput, talking: Talking) -> None:
    talking.talk.prefill = "what"
    typing.send_text("?\r")
    assert LineReader(talking.talk).read() == "what?"


@pytest.mark.parametrize(("keys", "error"), [("\x03", KeyboardInterrupt), ("\x04", EOFError)])
def test_control_c_and_control_d(typing: PipeInput, talking: Talking, keys: str, error: type[BaseException]) -> None:
    typing.send_text(keys)
    with pytest.raises(error):
        LineReader(talking.talk).read()


def test_the_history_is_its_owner_s_alone(typing: PipeInput, talking: Talking, tmp_path: Path) -> None:
    typing.send_text("secret\r")
    LineReader(talking.talk).read()
    path = tmp_path / "data" / "history"
    assert "secret" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_incognito_has_no_history(typing: PipeInput, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_DATA", str(tmp_path / "data"))
    typing.send_text("secret\r")
    LineReader(Talking(is_saved=False).talk).read()
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("waiting", "text"),
    [
        ([], "> "),
        (["a.png"], "[a.png] > "),
        (["a", "b", "c", "d", "e"], "[a, b, c +2] > "),
        (["x" * 50], "[xxxxxxxxxxxxxxxxx...] > "),
    ],
)
def test_the_line_shows_what_waits(waiting: list[str], text: str) -> None:
    assert prompt_text(waiting) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", False),
        ("a", False),
        ('"""', True),
        ('"""a', True),
        ('"""a"""', False),
        ('  """a\n', True),
        ('a """', False),
    ],
)
def test_when_several_lines_are_open(text: str, expected: bool) -> None:
    assert is_open(text) == expected


def test_a_paste_is_told_by_its_size() -> None:
    assert paste_mark(2, "abc") == "[pasted 2: 3 characters]"
