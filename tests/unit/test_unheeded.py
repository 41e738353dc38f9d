"""Sampling settings without effect here are said, those that change nothing are not; see docs/checkpoints.md."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from edge.settings import read_generation_settings
from edge.unheeded import SAMPLING, say_unheeded


def test_many_are_said_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    say_unheeded({key: [[7]] for key in SAMPLING}, "file")
    assert len(caplog.messages) == 1
    assert f"and {len(SAMPLING) - 5} more have no effect here" in caplog.text


@pytest.mark.parametrize("position", [0, -1])
def test_neutral_values_are_not_said(position: int, caplog: pytest.LogCaptureFixture) -> None:
    say_unheeded({key: neutral[position] for key, neutral in SAMPLING.items()}, "file")
    assert caplog.text == ""


def test_advice_of_either_file_is_looked_at(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"num_beams": 4}))
    read_generation_settings(tmp_path)
    assert "config.json: num_beams have no effect" in caplog.text


def test_min_p_is_taken(tmp_path: Path) -> None:
    (tmp_path / "generation_config.json").write_text(json.dumps({"min_p": 0.05, "text_config": {"top_k": 3}}))
    settings = read_generation_settings(tmp_path)
    assert (settings.min_p, settings.top_k) == (0.05, 50)
