"""The command line of `convert calibrate`: which prompts, and what it says of experts that saw little."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from convert.calibration.command import _describe_few, _shown, add_arguments
from convert.calibration.file import BUILTIN


def test_the_built_in_prompts_are_taken_unless_others_are_named() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert parser.parse_args(["source", "out"]).prompts == BUILTIN
    assert parser.parse_args(["source", "out", "--no-fisher"]).no_fisher


@pytest.mark.parametrize(("prompts", "shown"), [(BUILTIN, BUILTIN), (str(Path("a") / "mine.jsonl"), "mine.jsonl")])
def test_the_record_has_no_path_of_this_machine(prompts: str, shown: str) -> None:
    assert _shown(prompts) == shown


def test_the_hungriest_experts_come_first() -> None:
    assert _describe_few({"7": 12, "0": 30, "10": 12}) == (
        "3 experts saw too few tokens of their own: 7 (12), 10 (12), 0 (30)"
    )


def test_a_long_list_is_cut_and_says_so() -> None:
    line = _describe_few({str(number): number for number in range(20)})
    assert line.startswith("20 experts saw too few")
    assert line.endswith("11 (11) and 8 more, in calibration.json")
