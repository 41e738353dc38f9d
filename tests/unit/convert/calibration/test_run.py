"""A calibration killed at any moment ends with the same bytes; starved experts are listed and lose nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from convert.calibration import run
from convert.calibration.file import RECORD
from convert.calibration.store import RunStore
from edge.errors import UsageError
from tests.unit.convert.calibration.calibrating import (
    SETTINGS,
    calibrated,
    hashes_of,
    opened,
    text_samples,
    tiny_source,
)


class _KilledError(Exception):
    pass


def _run(source: Any, out: Path, samples: Any) -> None:  # Any: of calibrating.py
    run.calibrate(source, samples, out, settings=SETTINGS, say=lambda line: None)


def test_a_run_killed_behind_any_write_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, samples = tiny_source(tmp_path / "source"), text_samples()
    calibrated(source, tmp_path / "whole.calib", samples)
    expected = hashes_of(tmp_path / "whole.calib")
    save, writes = RunStore.save, 0
    out = tmp_path / "killed.calib"

    def killing(self: RunStore, name: str, arrays: Any) -> None:  # Any: arrays
        nonlocal writes
        save(self, name, arrays)
        writes += 1
        raise _KilledError

    for _ in range(10):
        monkeypatch.setattr(RunStore, "save", killing)
        with pytest.raises(_KilledError):
            _run(source, out, samples)
    monkeypatch.setattr(RunStore, "save", save)
    _run(source, out, samples)
    assert writes == 10
    assert hashes_of(out) == expected


def test_other_prompts_do_not_go_on_with_an_unfinished_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tiny_source(tmp_path / "source")
    monkeypatch.setattr(run._Run, "run", lambda self: (_ for _ in ()).throw(_KilledError))
    with pytest.raises(_KilledError):
        _run(source, tmp_path / "out.calib", text_samples())
    with pytest.raises(UsageError, match="another prompts"):
        _run(source, tmp_path / "out.calib", text_samples(seed=1))


def test_experts_that_saw_too_little_are_listed_in_the_record(tmp_path: Path) -> None:
    source = tiny_source(tmp_path / "source", num_experts=40)
    calibration = calibrated(source, tmp_path / "out.calib", text_samples(count=2))
    record = json.loads((tmp_path / "out.calib" / RECORD).read_text())
    name = "language_model.model.layers.0.mlp.switch_mlp.up_proj.weight"
    counts = {str(expert): calibration.tokens(name, expert) for expert in range(40)}
    assert record["few"]["0"] == {expert: count for expert, count in counts.items() if count < 16}
    assert 0 in counts.values()


@pytest.mark.parametrize("name", ["embed_tokens.weight", "layers.2.mlp.gate.weight"])
def test_every_matrix_has_a_fisher_weight(tmp_path: Path, name: str) -> None:
    calibration = calibrated(tiny_source(tmp_path / "source"), tmp_path / "out.calib")
    fisher = calibration.fisher(f"language_model.model.{name}")
    assert fisher is not None
    assert fisher > 0
    assert calibration.fisher("vision_tower.merger.linear_fc1.weight") is None


def test_a_calibration_of_another_model_is_refused_by_name(tmp_path: Path) -> None:
    calibration = calibrated(tiny_source(tmp_path / "source"), tmp_path / "out.calib")
    same = opened(tmp_path / "source")
    calibration.model.check(same.checkpoint, same.files.identity, where=calibration.path)
    other = tiny_source(tmp_path / "other", num_experts=7)
    with pytest.raises(UsageError, match=r"expected a calibration of other, found one of source: .*num_experts 5"):
        calibration.model.check(other.checkpoint, other.files.identity, where=calibration.path)
