from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from edge.chat.asking.piped import read_question
from edge.chat.options import ChatOptions
from edge.errors import UsageError


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[bytes], None]]:
    """Put bytes into stdin, as a file that a shell opened."""
    with ExitStack() as files:

        def write(data: bytes) -> None:
            (tmp_path / "in").write_bytes(data)
            monkeypatch.setattr(sys, "stdin", files.enter_context((tmp_path / "in").open(encoding="utf-8")))

        yield write


def test_piped_text_is_the_question_or_joined_to_it(give: Callable[[bytes], None]) -> None:
    give("zażółć\n".encode())
    assert read_question(ChatOptions()).text == "zażółć\n"
    give(b"+ line\n")
    asked = read_question(ChatOptions(prompt="Explain"))
    assert asked.text == "Explain\n\n+ line"
    assert not asked.is_typed  # files named in a pipe are not opened


def test_an_empty_pipe_adds_nothing(give: Callable[[bytes], None]) -> None:
    give(b"")
    asked = read_question(ChatOptions(prompt="Explain"))
    assert (asked.text, asked.is_typed) == ("Explain", True)


def test_an_inherited_null_device_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull) as null:
        monkeypatch.setattr(sys, "stdin", null)
        assert read_question(ChatOptions(prompt="Explain")).text == "Explain"


def test_a_picture_comes_through_the_pipe(give: Callable[[bytes], None]) -> None:
    give(b"\x89PNG")
    asked = read_question(ChatOptions(prompt="What?", images=("-",)))
    assert (asked.text, asked.piped_media) == ("What?", b"\x89PNG")


def test_only_files_on_a_terminal_open_a_talk_about_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    first, second = os.openpty()
    with open(first, "w") as _, open(second) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        monkeypatch.setattr(sys, "stdout", terminal)
        asked = read_question(ChatOptions(prompt=f"{tmp_path}/a.png"))
        assert (asked.text, asked.opening) == (None, f"{tmp_path}/a.png")
        assert read_question(ChatOptions(prompt=f"{tmp_path}/a.png what?")).opening == ""
        assert read_question(ChatOptions(prompt=f"{tmp_path}/a.png", output="json")).text == f"{tmp_path}/a.png"
        with pytest.raises(UsageError, match="prompt is empty"):
            read_question(ChatOptions(prompt=""))


@pytest.mark.parametrize(
    ("options", "data", "message"),
    [
        (ChatOptions(), b" \n", "prompt is empty"),
        (ChatOptions(prompt=""), b"", "prompt is empty"),
        (ChatOptions(), b"\x89PNG\r\n", "--image -"),
        (ChatOptions(prompt="x", images=("-",)), b"", "pipe was empty"),
        (ChatOptions(images=("-",)), b"x", "give a PROMPT"),
        (ChatOptions(prompt="x", images=("-",), videos=("-",)), b"x", "once"),
        (ChatOptions(prompt="-", images=("-",)), b"x", "once"),
    ],
)
def test_what_cannot_be_asked_is_wrong_usage(
    give: Callable[[bytes], None], options: ChatOptions, data: bytes, message: str
) -> None:
    give(data)
    with pytest.raises(UsageError, match=message):
        read_question(options)
