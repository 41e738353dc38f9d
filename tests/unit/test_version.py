"""Every program tells its version in one line."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable

import pytest

from convert.__main__ import COMMANDS
from convert.__main__ import main as convert
from edge.__main__ import main as edge
from edge.chat.__main__ import main as chat
from edge.plan.__main__ import main as plan
from edge.server.__main__ import main as server
from edge.version import add_version_argument, describe_version

LINE = re.compile(r"qwen3vl-edge \S+, mlx \d\S+, Python 3\.\d+\.\d+ on \w+\n")


def test_the_version_names_what_computes() -> None:
    assert LINE.fullmatch(describe_version() + "\n")


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS)])
def test_convert_and_its_commands_tell_it(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        convert([*words, "--version"])
    assert ended.value.code in (0, None)
    assert LINE.fullmatch(capsys.readouterr().out)


@pytest.mark.parametrize("program", [plan, chat, server])
def test_the_other_programs_tell_it(program: Callable[[list[str]], int], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        program(["--version"])
    assert LINE.fullmatch(capsys.readouterr().out)


def test_edge_tells_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert edge(["--version"]) == 0
    assert LINE.fullmatch(capsys.readouterr().out)


def test_an_option_that_is_added_ends_the_program_before_others_are_missed(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("needed")
    add_version_argument(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(["--version"])
    assert LINE.fullmatch(capsys.readouterr().out)
