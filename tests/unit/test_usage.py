"""A wrong command line is one line that does nothing to a terminal, in every program."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import pytest

from convert.__main__ import main as convert_main
from edge.chat.arguments import parse_arguments as parse_chat
from edge.plan.__main__ import main as plan_main
from edge.server.arguments import parse_arguments as parse_server
from edge.usage import _Notes

NAMES = ["--x", "\x1b]0;owned\x07.png", "a\nb", "\u202egnp.exe", "y" * 9000]


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (convert_main, ["mlx", "source", *NAMES]),
        (parse_chat, NAMES),
        (plan_main, NAMES),
        (parse_server, NAMES),
    ],
)
def test_names_of_others_reach_no_terminal_as_they_are(
    run: Callable[[Sequence[str]], object], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(words)
    shown = capsys.readouterr().err
    assert ended.value.code == 2
    assert shown.endswith(" --help.\n")
    assert shown[:-1].isprintable()
    assert len(shown) < 600


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--temperature", "hot"], "edge.chat: --temperature: expected a number, found 'hot'. See"),
        (["--seed", "1.5"], "edge.chat: --seed: expected a whole number, found '1.5'. See"),
    ],
)
def test_a_wrong_number_is_told_in_plain_words(words: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_chat(words)
    assert capsys.readouterr().err.startswith(line)


def test_notes_about_names_of_others_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    record = logging.makeLogRecord({"msg": "%s counts", "args": ("\x1b]0;owned\x07\n" * 99,)})
    _Notes("convert").emit(record)
    shown = capsys.readouterr().err
    assert shown.startswith("convert: note: \\x1b]0;owned\\x07 ")
    assert shown[:-1].isprintable()
