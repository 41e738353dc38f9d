"""`edge COMMAND` starts the programs of the package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import edge.chat.__main__
from edge.__main__ import main


def test_help_lists_the_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert "  chat    ask a checkpoint" in out
    assert "  plan    say what a model needs" in out


def test_a_command_gets_the_words_behind_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "30b", "--mac", "M4 32 GB", "--recipe", "4bit"]) == 0
    assert "It fits" in capsys.readouterr().out


def test_an_unknown_command_is_told_in_one_line_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plann"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("edge: 'plann': expected one of chat,")
    assert "Did you mean plan?" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "words", [["What is in a.png?"], ["--model", "8b", "hello"], ["two\nlines"], ["a.png", "--stats"], ["gone.png"]]
)
def test_what_is_no_command_but_a_question_an_option_or_a_file_goes_to_the_chat(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").touch()
    given: list[list[str]] = []

    def take(argv: list[str]) -> int:
        given.append(argv)
        return 0

    monkeypatch.setattr(edge.chat.__main__, "main", take)
    assert main(words) == 0
    assert given == [words]


@pytest.mark.parametrize("words", [["edge", "--help"], ["edge.plan", "8b"]])
def test_a_reader_that_has_gone_is_no_error(words: list[str]) -> None:
    reading = subprocess.Popen(
        [sys.executable, "-u", "-m", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert reading.stdout is not None
    reading.stdout.close()
    assert reading.stderr is not None
    with reading.stderr:
        assert reading.stderr.read() == ""
    assert reading.wait() == 1
