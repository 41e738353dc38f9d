"""`--size` and `--fit` on the command line: the plan, its words, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from convert.__main__ import main
from tests.unit.convert.mlx.conversion import write_source


def test_a_published_model_is_planned_for_a_mac_from_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    work = ["--context", "32768", "--kv-bits", "8", "--image", "2048x2048"]
    assert main(["mlx", "30b", "--fit", "24 GB", *work, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "Errors of each format are modelled" in said
    assert "no calibration was given" in said
    assert "32,768 tokens at 8 bits" in said
    assert "It fits" in said


def test_a_mac_that_is_too_small_is_refused_with_what_would_fit(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mlx", "32b", "--fit", "24 GB", "--context", "32768", "--dry-run"]) == 2
    said = capsys.readouterr().err
    assert "the smallest formats of this model take 14.06 GB" in said
    assert "What would fit: --context" in said


def test_a_folder_is_written_in_the_bytes_of_a_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_source(tmp_path / "source")
    assert main(["mlx", str(source), str(tmp_path / "plain"), "--recipe", "4bit"]) == 0
    assert main(["mlx", str(source), str(tmp_path / "spent"), "--size", "4bit"]) == 0
    assert "measured on rows of each matrix" in capsys.readouterr().out
    plain, spent = (
        sum(path.stat().st_size for path in (tmp_path / name).glob("*.safetensors")) for name in ("plain", "spent")
    )
    assert 0.9 * plain <= spent <= plain
    assert "--size 4bit" in (tmp_path / "spent" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--recipe", "4bit"], "--recipe chooses formats"),
        (["--bits", "4"], "--bits chooses formats"),
        (["--fit", "24 GB"], "two ways to say the same"),
        (["--context", "100"], "add --fit"),
    ],
)
def test_what_does_not_go_with_a_size_is_refused(
    words: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["mlx", "2b", "--size", "1GB", *words, "--dry-run"]) == 2
    assert why in capsys.readouterr().err
