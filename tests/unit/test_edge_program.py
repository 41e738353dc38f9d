"""`edge COMMAND` starts the programs of the package."""

from __future__ import annotations

import pytest

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
