from __future__ import annotations

from pathlib import Path

import pytest

from edge.chat.arguments import parse_arguments
from edge.chat.options import ChatOptions


def test_without_arguments_everything_is_left_to_the_checkpoint() -> None:
    assert parse_arguments([]) == ChatOptions()


def test_pictures_and_videos_repeat_and_keep_their_order() -> None:
    options = parse_arguments(["--image", "b.png", "--video", "v.mp4", "--image", "a.png", "Compare"])
    assert options.images == ("b.png", "a.png")
    assert options.videos == ("v.mp4",)
    assert options.prompt == "Compare"


def test_only_given_sampling_values_are_passed_on() -> None:
    options = parse_arguments(["--temperature", "0", "--top-k", "5", "--seed", "3", "hi"])
    assert options.sampling == {"temperature": 0.0, "top_k": 5, "seed": 3}


def test_guesses_are_on_unless_told_otherwise() -> None:
    assert parse_arguments([]).speculates
    options = parse_arguments(["--no-speculate", "--draft", "2b"])
    assert (options.speculates, options.draft) == (False, "2b")


@pytest.mark.parametrize(
    "argv", [["--nonsense"], ["--top-k", "many", "hi"], ["a", "b"], ["--max-tok", "3", "hi"], ["--image"]]
)
def test_a_wrong_flag_exits_with_2_and_one_line(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_arguments(argv)
    captured = capsys.readouterr()
    assert caught.value.code == 2
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "--help" in captured.err


def test_help_teaches_with_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_arguments(["--help"])
    assert caught.value.code == 0
    assert "examples:" in capsys.readouterr().out


def test_several_words_without_quotes_are_refused_with_the_hint(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_arguments(["What", "is", "this?"])
    assert caught.value.code == 2
    assert 'put the question in quotes: "What is this?"' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"), [("on", "on"), ("off", 0), ("auto", "auto"), ("5", 5), ("0", 0), (" ON ", "on")]
)
def test_think_is_a_number_or_a_word(text: str, expected: object) -> None:
    assert parse_arguments(["--think", text]).think == expected
    assert parse_arguments(["--thinking-budget", text]).think == expected


@pytest.mark.parametrize(
    "argv", [["--think", "-1"], ["--think", "much"], ["--schema", "gone.json"], ["--kv-bits", "3"]]
)
def test_wrong_values_are_named(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(argv)
    err = capsys.readouterr().err
    assert argv[0] in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("argv", [["--continue", "--session", "a"], ["--no-save", "--continue"]])
def test_what_contradicts_is_refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(argv)
    assert capsys.readouterr().err.count("\n") == 1


def test_a_schema_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"type": "object"}')
    assert parse_arguments(["--schema", str(tmp_path / "s.json")]).schema == {"type": "object"}
    assert parse_arguments(["--schema", "json"]).schema == "json"


def test_words_that_are_not_text_do_not_break_the_error_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["a\udcff", "b"])
    assert "\\udcff" in capsys.readouterr().err


def test_tools_and_servers_repeat() -> None:
    options = parse_arguments(["--tools", "builtin", "--mcp", "python s.py", "--tools", "a.py", "--yes", "hi"])
    assert (options.tools, options.servers, options.agrees) == (("builtin", "a.py"), ("python s.py",), True)


def test_the_help_teaches_names_forms_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for part in ("2b 4b 8b 32b 30b 235b", "-thinking", "demo", "--kv-bits 8|4", "--tools FILE.py", "photo.jpg"):
        assert part in text
    assert "--thinking-budget" not in text  # the other name of --think
