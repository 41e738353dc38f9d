"""Compute types that this machine cannot run are refused before a weight is read."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import pytest

import edge.checkpoint.door
from edge.checkpoint.build import check_runs_in
from edge.checkpoint.names.hub import expected_parameters
from edge.config import LayerQuantization
from edge.config_json import model_config_from_dict
from edge.errors import ConfigError
from edge.loading import load
from tests.unit.checkpoint.checkpoints import (
    random_parameters,
    tiny_config_json,
    write_mlx_folder,
)
from tests.unit.model.tiny import CONFIG, DENSE_CONFIG, tiny_model

FOUR_BITS = LayerQuantization(group_size=32, bits=4, mode="affine")
MESSAGE = r"^m: expected float32 as compute type, since experts .* on the CPU, found bfloat16\. Leave dtype out"
EXPERTS = [name.removesuffix(".weight") for name in expected_parameters(CONFIG) if ".switch_mlp." in name]

on_the_cpu = pytest.mark.skipif(mx.default_device().type == mx.DeviceType.gpu, reason="a GPU runs every type")


@on_the_cpu
def test_experts_that_are_not_packed_run_in_float32_only() -> None:
    with pytest.raises(ConfigError, match=MESSAGE) as error:
        check_runs_in(CONFIG, {}, dtype=mx.bfloat16, where="m")
    assert "\n" not in str(error.value)
    with pytest.raises(ConfigError, match=MESSAGE):
        check_runs_in(CONFIG, dict.fromkeys(EXPERTS[1:], FOUR_BITS), dtype=mx.bfloat16, where="m")


@on_the_cpu
def test_mlx_itself_cannot_run_them() -> None:
    model = tiny_model(dtype=mx.bfloat16)
    rows = mx.zeros((1, 2, 64), dtype=mx.bfloat16)
    logits = model.language_model.model.layers[0].mlp(rows, residual=rows)
    with pytest.raises(RuntimeError, match="only supports float32"):
        mx.eval(logits)


def test_what_runs_is_let_through() -> None:
    check_runs_in(CONFIG, {}, dtype=mx.float32, where="m")
    check_runs_in(DENSE_CONFIG, {}, dtype=mx.bfloat16, where="m")
    check_runs_in(CONFIG, dict.fromkeys(EXPERTS, FOUR_BITS), dtype=mx.bfloat16, where="m")


@on_the_cpu
def test_loading_refuses_before_it_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = tiny_config_json()
    folder = write_mlx_folder(tmp_path, raw, random_parameters(model_config_from_dict(raw)))
    monkeypatch.setattr(edge.checkpoint.door, "load_checkpoint", lambda *_, **__: pytest.fail("weights were read"))
    with pytest.raises(ConfigError, match="experts that are not packed"):
        load(folder, dtype=mx.bfloat16)
