"""A calibration that is not whole any more is told, and never used in part."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from convert.calibration.file import RECORD, Calibration
from edge.errors import ConfigError, EdgeError, WeightError
from tests.unit.convert.calibration.calibrating import calibrated, tiny_source

LAYER = "layer-01.safetensors"
TENSOR = "language_model.model.layers.1.self_attn.q_proj.weight"
Json = Any  # the record


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return calibrated(tiny_source(tmp_path / "source"), tmp_path / "own.calib").path


def test_a_missing_file_is_told_when_it_is_opened(folder: Path) -> None:
    (folder / LAYER).unlink()
    with pytest.raises(WeightError, match=rf"1 of its files are missing, {LAYER} the first"):
        Calibration.open(folder)


def _cut(path: Path) -> None:
    os.truncate(path, 100)


def _emptied(path: Path) -> None:
    os.truncate(path, 0)


def _flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def _of_another_layer(path: Path) -> None:
    path.write_bytes(path.with_name("layer-00.safetensors").read_bytes())


@pytest.mark.parametrize("alter", [_cut, _emptied, _flipped, _of_another_layer])
def test_an_altered_file_is_told_before_it_is_used(alter: Callable[[Path], None], folder: Path) -> None:
    assert Calibration.open(folder).has(TENSOR)
    alter(folder / LAYER)
    with pytest.raises(WeightError, match=f"{LAYER}: missing, cut or altered"):
        Calibration.open(folder).has(TENSOR)


def test_what_the_record_does_not_name_holds_nothing(folder: Path) -> None:
    assert not Calibration.open(folder).has("vision_tower.blocks.0.attn.qkv.weight")


def _set(*path: str, value: Json) -> Callable[[Json], None]:
    def edit(record: Json) -> None:
        for key in path[:-1]:
            record = record[key]
        record[path[-1]] = value

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        *(_set(key, value=None) for key in ("model", "prompts", "fisher", "files")),
        _set("fisher", value=[1, 2]),
        *(_set("fisher", TENSOR, value=value) for value in ("abc", float("nan"), float("inf"), -1.0, None)),
        _set("prompts", "tokens", value="many"),
        _set("files", value=["a"]),
        _set("format", value=2),
        lambda record: record.pop("prompts"),
    ],
)
def test_a_record_with_a_broken_part_is_refused(edit: Callable[[Json], None], folder: Path) -> None:
    record = json.loads((folder / RECORD).read_text())
    edit(record)
    (folder / RECORD).write_text(json.dumps(record))
    with pytest.raises(ConfigError, match="convert calibrate"):
        Calibration.open(folder)


@pytest.mark.parametrize("text", ["", "{", "[1]", "3", '"format"', "{}"])
def test_a_record_that_is_none_is_refused(text: str, folder: Path) -> None:
    (folder / RECORD).write_text(text)
    with pytest.raises(EdgeError, match="expected the record of a calibration"):
        Calibration.open(folder)
