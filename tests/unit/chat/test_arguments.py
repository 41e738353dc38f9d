from __future__ import annotations

from pathlib import Path

import pytest

from edge.chat.arguments import ChatOptions, parse_arguments


def test_without_arguments_everything_is_left_to_the_checkpoint() -> None:
    assert parse_arguments([]) == ChatOptions()


def test_pictures_and_videos_repeat_and_keep_their_order() -> None:
    options = parse_arguments(["--image", "b.png", "--video", "v.mp4", "--image", "a.png", "Compare"])
    assert options.images == (Path("b.png"), Path("a.png"))
    assert options.videos == (Path("v.mp4"),)
    assert options.prompt == "Compare"


def test_only_given_sampling_values_are_passed_on() -> None:
    options = parse_arguments(["--temperature", "0", "--top-k", "5", "--seed", "3", "hi"])
    assert options.sampling == {"temperature": 0.0, "top_k": 5, "seed": 3}


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
