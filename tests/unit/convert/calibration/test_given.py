"""A calibration named on the command line belongs to the model that is converted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from convert.__main__ import main
from convert.calibration.given import given_calibration
from convert.source import Identity
from edge.errors import ConfigError, UsageError
from tests.unit.convert.calibration.calibrating import calibrated, tiny_source


def test_none_named_is_none(tmp_path: Path) -> None:
    source = tiny_source(tmp_path / "source")
    assert given_calibration(None, source.checkpoint, source.files.identity) is None


def test_a_folder_that_is_no_calibration_is_refused(tmp_path: Path) -> None:
    source = tiny_source(tmp_path / "source")
    with pytest.raises(ConfigError, match="expected a calibration"):
        given_calibration(tmp_path, source.checkpoint, source.files.identity)


def test_another_models_is_refused(tmp_path: Path) -> None:
    source = tiny_source(tmp_path / "source")
    calibrated(source, tmp_path / "own.calib")
    given = tmp_path / "own.calib"
    assert given_calibration(given, source.checkpoint, source.files.identity) is not None
    other = tiny_source(tmp_path / "other", num_experts=3)
    with pytest.raises(UsageError, match="expected a calibration of"):
        given_calibration(given, other.checkpoint, other.files.identity)
    with pytest.raises(UsageError, match="num_experts 3"):  # sizes tell without a weight
        given_calibration(given, other.checkpoint, other.files.identity, has_weights=False, is_plan=True)


def test_without_weights_the_hub_commit_tells_unless_nothing_is_written(tmp_path: Path) -> None:
    source = tiny_source(tmp_path / "source")
    commits = ["1" * 40, "2" * 40]
    named = replace(source, files=replace(source.files, identity=Identity("maker/tiny", commits[0], {})))
    path = calibrated(named, tmp_path / "own.calib").path
    for commit in commits:
        identity = Identity("maker/tiny", commit, {})
        assert given_calibration(path, source.checkpoint, identity, has_weights=False, is_plan=True) is not None
    assert given_calibration(path, source.checkpoint, named.files.identity, has_weights=False) is not None
    for unlike in (commits[1], None):
        with pytest.raises(UsageError, match="--stream"):
            given_calibration(path, source.checkpoint, Identity("maker/tiny", unlike, {}), has_weights=False)


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
