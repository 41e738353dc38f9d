"""A wrong command line is one line that does nothing to a terminal, in every program."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import pytest

from convert.__main__ import main as convert_main
from edge.bench.__main__ import main as bench_main
from edge.chat.__main__ import main as chat_main
from edge.chat.arguments import parse_arguments as parse_chat
from edge.plan.__main__ import main as plan_main
from edge.server.__main__ import main as server_main
from edge.server.arguments import parse_arguments as parse_server
from edge.usage import _Notes, file_failure

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


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (convert_main, ["mlx", "x" * 300, "out"]),
        (convert_main, ["gguf", "x" * 300, "out.gguf"]),
        (convert_main, ["repack", "x" * 300, "out"]),
        (plan_main, ["x" * 300]),
        (plan_main, ["/tmp/" + "x" * 300 + "/y"]),
        (server_main, ["--model", "x" * 300]),
        (server_main, ["--models-dir", "/" + "x" * 300]),
        (bench_main, ["--model", "x" * 300]),
        (chat_main, ["--model", "x" * 300, "hi"]),
    ],
)
def test_a_path_that_the_system_refuses_is_one_line_of_every_program(
    run: Callable[[Sequence[str]], int], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) in (1, 2)
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "File name too long" in shown
    assert "internal error" not in shown


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied", "/a/b"), "/a/b: Permission denied."),
        (OSError(28, "No space left on device", b"/a/\xff"), "/a/\\udcff: No space left on device."),
        (OSError(9, "Bad file descriptor", 7), "7: Bad file descriptor."),
        (OSError(9, "Bad file descriptor"), "Bad file descriptor."),
        (OSError("no number"), "OSError: no number"),
    ],
)
def test_what_the_system_refuses_is_told_with_its_file(error: OSError, said: str) -> None:
    assert file_failure(error) == said
