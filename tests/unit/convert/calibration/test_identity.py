"""The same model is taken in any layout; another one is refused, and the message says what differs."""

from __future__ import annotations

from pathlib import Path

import pytest

from convert.calibration.identity import CalibratedModel
from convert.source import Source
from edge.config_json import model_config_from_dict
from edge.errors import UsageError
from tests.unit.checkpoint.checkpoints import (
    random_parameters,
    tiny_config_json,
    transformers5_config_json,
    write_fp8_folder,
    write_hub_folder,
)
from tests.unit.convert.calibration.calibrating import opened

BLOCK = (16, 16)


def described(source: Source) -> CalibratedModel:
    return CalibratedModel.of(source.checkpoint, source.files.identity)


def plain(folder: Path, *, seed: int = 0) -> Source:
    raw = tiny_config_json()
    return opened(write_hub_folder(folder, raw, random_parameters(model_config_from_dict(raw), seed=seed)))


def test_the_same_model_is_taken_in_the_order_of_transformers_5(tmp_path: Path) -> None:
    model = described(plain(tmp_path / "hub"))
    raw = transformers5_config_json(tiny_config_json())
    parameters = random_parameters(model_config_from_dict(raw))
    other = opened(write_hub_folder(tmp_path / "five", raw, parameters, layout="transformers5"))
    assert other.checkpoint.layout != "hub"
    model.check(other.checkpoint, other.files.identity, where=tmp_path)


def test_the_same_model_is_taken_in_fp8_and_back(tmp_path: Path) -> None:
    hub = plain(tmp_path / "hub")
    raw = tiny_config_json()
    parameters = random_parameters(model_config_from_dict(raw))
    fp8 = opened(write_fp8_folder(tmp_path / "fp8", raw, parameters, block_shape=BLOCK))
    described(hub).check(fp8.checkpoint, fp8.files.identity, where=tmp_path)
    described(fp8).check(hub.checkpoint, hub.files.identity, where=tmp_path)


def test_other_weights_are_refused_even_in_fp8(tmp_path: Path) -> None:
    model = described(plain(tmp_path / "hub", seed=1))
    raw = tiny_config_json()
    parameters = random_parameters(model_config_from_dict(raw))
    fp8 = opened(write_fp8_folder(tmp_path / "fp8", raw, parameters, block_shape=BLOCK))
    with pytest.raises(UsageError, match="expected a calibration of fp8, found one of hub: the weights of"):
        model.check(fp8.checkpoint, fp8.files.identity, where=tmp_path)


def test_a_record_gives_its_model_back(tmp_path: Path) -> None:
    model = described(plain(tmp_path / "hub"))
    assert CalibratedModel.from_record(model.to_record()) == model
