"""A calibration named on the command line belongs to the model that is converted."""

from __future__ import annotations

from pathlib import Path

import pytest

from convert.__main__ import main
from convert.calibration.given import given_calibration
from edge.errors import ConfigError, UsageError
from tests.unit.convert.calibration.calibrating import calibrated, tiny_source


def test_none_named_is_none(tmp_path: Path) -> None:
    source = tiny_source(tmp_path / "source")
    assert given_calibration(None, source.checkpoint, source.files.identity) is None


def test_a_folder_that_is_no_calibration_is_refused(tmp_path: Path) -> None:
    source = tiny_source(tmp_path / "source")
    with pytest.raises(ConfigError, match="expected a calibration"):
        given_calibration(tmp_path, source.checkpoint, source.files.identity)


def test_another_models_is_refused_unless_only_shapes_are_asked_for(tmp_path: Path) -> None:
    source = tiny_source(tmp_path / "source")
    calibrated(source, tmp_path / "own.calib")
    given = tmp_path / "own.calib"
    assert given_calibration(given, source.checkpoint, source.files.identity) is not None
    other = tiny_source(tmp_path / "other", num_experts=3)
    with pytest.raises(UsageError, match="expected a calibration of"):
        given_calibration(given, other.checkpoint, other.files.identity)
    assert given_calibration(given, other.checkpoint, other.files.identity, has_weights=False) is not None


@pytest.mark.parametrize("words", [["mlx", "OUT"], ["mlx", "--dry-run"], ["mlx", "--dry-run", "--size", "4bit"]])
def test_the_converter_refuses_one_of_another_model_before_any_work(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibrated(tiny_source(tmp_path / "source"), tmp_path / "own.calib")
    tiny_source(tmp_path / "other", num_experts=3)
    rest = [str(tmp_path / "out") if word == "OUT" else word for word in words[1:]]
    assert main([words[0], str(tmp_path / "other"), *rest, "--calibration", str(tmp_path / "own.calib")]) == 2
    assert "expected a calibration of" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
