"""The command line of `convert mlx`: which format is meant, and what the card may say of it."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from convert.mlx.command import _command_line, _read_base, _read_override, add_arguments, run
from edge.errors import UsageError
from edge.plan.recipes import FORMATS, format_name


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    found = parser.parse_args(["source", "out", *words])
    found.recipe = found.recipe or "4bit"
    return found


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("", "4bit"),
        ("--recipe bf16", "bf16"),
        ("--bits 5", "5bit"),
        ("--group-size 32", "4bit/32"),
        ("--recipe 6bit --group-size 128", "6bit/128"),
        ("--mode mxfp4", "mxfp4"),
        ("--recipe mxfp4 --mode affine", "4bit"),
        ("--recipe bf16 --bits 8", "8bit"),
    ],
)
def test_numbers_change_the_recipes_format_and_a_mode_brings_its_own(words: str, name: str) -> None:
    assert format_name(_read_base(parsed(*words.split()))) == name


def test_a_pattern_may_hold_an_equals_sign_and_the_last_one_counts() -> None:
    assert _read_override("self_attn.*=8bit") == ("self_attn.*", FORMATS["8bit"])
    assert _read_override("a=b=bf16") == ("a=b", None)


@pytest.mark.parametrize("text", ["a=7bit", "a=4", "a=", "a=4bit/48", "a=bf16/32"])
def test_a_format_that_is_none_is_told_with_its_override(text: str) -> None:
    with pytest.raises(UsageError, match=f"--set '{text}': "):
        _read_override(text)


@pytest.mark.parametrize("text", ["vision_tower", "=8bit"])
def test_an_override_without_both_sides_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected PATTERN=FORMAT"):
        _read_override(text)


def test_the_cards_command_has_no_path_of_this_machine(tmp_path: Path) -> None:
    given = parsed("--set", "self_attn.*=8bit", "--calibration", str(tmp_path / "my.calib"), "--bits", "5")
    given.source = str(tmp_path / "model")
    line = _command_line(given)
    assert str(tmp_path) not in line
    assert line == (
        "python -m convert mlx model OUT --recipe 4bit --bits 5 --set 'self_attn.*=8bit' --calibration my.calib"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--shard-gb 0", "--shard-gb 0.0: expected 0.001 to 1000"),
        ("--size 4bit --recipe 4bit", "--recipe chooses formats, and so does a budget"),
        ("--calibration x --no-search", "Leave --no-search out"),
    ],
)
def test_options_that_contradict_are_refused_before_anything_is_opened(words: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        run(parsed(*words.split()))


def test_a_missing_folder_to_make_is_said() -> None:
    given = parsed()
    given.out = None
    with pytest.raises(UsageError, match="OUT is missing"):
        run(given)
