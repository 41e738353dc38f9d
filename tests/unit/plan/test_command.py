from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.plan.__main__ import main
from edge.plan.recipes import RECIPES


def test_a_table_of_the_family_needs_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--mac", "M4 24 GB"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 6 * len(RECIPES) + 2
    assert any(line.startswith("Qwen3-VL-30B-A3B     4bit ") and "18.26 GB" in line for line in lines)


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["--mac", "8 GB", "--recipe", "4bit"], "--model 4b    (Qwen3-VL-4B in 4bit, a download of 3.1 GB)"),
        (["--mac", "16 GB"], "--model 8b    (Qwen3-VL-8B in 4bit, a download of 5.8 GB)"),
        (["--mac", "48 GB"], "--model 30b    (Qwen3-VL-30B-A3B in 4bit, a download of 18.3 GB)"),
    ],
)
def test_the_table_ends_with_the_model_to_begin_with(
    words: list[str], advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"To begin with: python -m edge.chat {advice}"


@pytest.mark.parametrize("words", [["8b"], ["--recipe", "6bit"], ["--mac", "4 GB"]])
def test_no_advice_where_one_model_or_recipe_was_asked_for_or_none_fits(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 0
    assert "To begin with" not in capsys.readouterr().out


@pytest.mark.parametrize(("mac", "status", "said"), [("48 GB", 0, "It fits"), ("24 GB", 1, "What would fit: ")])
def test_one_plan_says_whether_it_fits_and_the_status_too(
    mac: str, status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["30b", "--recipe", "4bit", "--mac", mac, "--context", "32768", "--image", "2048x1024"]
    assert main(arguments) == status
    out = capsys.readouterr().out
    assert said in out
    assert "2,048 tokens)" in out


def test_json_has_bytes_by_part(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--json", "--context", "100"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert set(plan["bytes"]) == {"weights", "keys_values", "chunk", "vision", "features", "decoding", "spare"}
    assert plan["fits"] is True
    assert plan["would_fit"] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["7b"], "no published model"),
        (["30b", "--mac", "M4"], "expected a size of memory"),
        (["30b", "--image", "big"], "expected WIDTHxHEIGHT"),
        (["30b", "--context", "2m"], "expected 1 to 1048576"),
        (["30b", "--recipe", "1bit"], "expected one of bf16"),
    ],
)
def test_a_wrong_word_is_told_in_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_broken_folder_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 1
    assert "config.json" in capsys.readouterr().err
