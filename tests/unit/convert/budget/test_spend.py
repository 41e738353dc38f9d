"""Budgets spent on tiny models: never over, planned bytes equal written ones, and what is fixed stays fixed."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

from convert.budget.spend import Market, open_market, spend
from convert.mlx.layout import lay_out_folder
from convert.mlx.run import make_plan
from convert.source import open_source
from edge.checkpoint.folder import open_checkpoint
from edge.checkpoint.names.hub import expected_parameters
from edge.checkpoint.names.joined import JOINED
from edge.config import ModelConfig
from edge.config_json import model_config_from_dict
from edge.errors import UsageError
from edge.plan.family import FAMILY
from edge.plan.recipes import FORMATS, is_matrix
from tests.unit.checkpoint.checkpoints import random_parameters, transformers5_config_json, write_hub_folder
from tests.unit.convert.mlx.conversion import convert, group_config_json, settings_of, write_source


class Fisher:
    """Weights that make one matrix matter a thousand times as much as the others."""

    def __init__(self, heavy: str) -> None:
        self.heavy = heavy

    def fisher(self, tensor: str) -> float | None:
        return 1.0 if self.heavy in tensor else 1e-3


@lru_cache(maxsize=1)
def tiny() -> Path:
    return write_source(Path(mkdtemp()) / "source")


@lru_cache(maxsize=1)
def market() -> Market:
    checkpoint = open_checkpoint(tiny())
    return open_market(checkpoint.config, checkpoint=checkpoint, weights=Fisher("layers.2.self_attn"))


def between(found: Market, share: float) -> int:
    """A budget at some share of the way from the smallest formats to bfloat16."""
    most = sum(max(option.num_bytes for option in unit.options) for unit in found.units)
    least = sum(min(option.num_bytes for option in unit.options) for unit in found.units)
    return found.fixed_bytes + 100_000 + int(least + share * (most - least))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.35, 0.8, 1.5])
def test_files_never_take_more_than_the_budget(share: float) -> None:
    budget = between(market(), share)
    layout = lay_out_folder(market().config, spend(market(), budget=budget).choices)
    assert layout.file_bytes <= budget


def test_the_decoder_ends_at_eight_bits_and_says_that_nothing_is_left_to_gain() -> None:
    spending = spend(market(), budget=10**9)
    decoder = [choice.format for name, choice in spending.choices.items() if name.endswith("proj.weight")]
    assert spending.is_everything
    assert not spend(market(), budget=between(market(), 0.3)).is_everything
    assert all(setting is not None and setting.bits == 8 for setting in decoder if setting)


def test_planned_bytes_are_the_written_ones(tmp_path: Path) -> None:
    choices = spend(market(), budget=between(market(), 0.2)).choices
    settings = replace(settings_of(), choices=choices)
    convert(tiny(), tmp_path / "out", settings)
    planned = make_plan(open_source(tiny(), name="tiny").checkpoint.config, settings).layout.file_bytes
    assert planned == sum(path.stat().st_size for path in (tmp_path / "out").glob("*.safetensors"))


def test_the_matrix_that_matters_gets_the_bits() -> None:
    choices = spend(market(), budget=between(market(), 0.15)).choices
    heavy = choices["language_model.model.layers.2.self_attn.q_proj.weight"].format
    light = choices["language_model.model.layers.1.self_attn.q_proj.weight"].format
    assert heavy is not None
    assert light is not None
    assert heavy.bits > light.bits


def test_what_the_model_computes_as_one_has_one_format() -> None:
    choices = spend(market(), budget=between(market(), 0.3)).choices
    for parts in JOINED.values():
        for index in range(market().config.text.num_layers):
            names = [f"language_model.model.layers.{index}.{part}.weight" for part in parts]
            assert len({choices[name].format for name in names if name in choices}) <= 1


def test_routers_keep_eight_bits_and_what_is_no_matrix_stays() -> None:
    choices = spend(market(), budget=between(market(), 0.0)).choices
    shapes = expected_parameters(market().config)
    routers = [choice.format for name, choice in choices.items() if name.endswith("mlp.gate.weight")]
    assert routers
    assert all(setting is None or setting.bits == 8 for setting in routers)
    assert all(choices[name].format is None for name, shape in shapes.items() if not is_matrix(name, shape))


def test_what_the_user_fixed_stays_fixed() -> None:
    fixed = (("vision_tower", None), ("layers.0.self_attn.q_proj", FORMATS["8bit"]))
    checkpoint = open_checkpoint(tiny())
    found = open_market(checkpoint.config, checkpoint=checkpoint, weights=Fisher("embed"), overrides=fixed)
    choices = spend(found, budget=between(found, 0.1)).choices
    assert all(choice.format is None for name, choice in choices.items() if name.startswith("vision_tower."))
    assert choices["language_model.model.layers.0.self_attn.q_proj.weight"].format == FORMATS["8bit"]


def test_a_pattern_that_fits_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--set 'nothing' fits no matrix"):
        open_market(market().config, overrides=(("nothing", None),))


def test_a_budget_below_the_smallest_formats_is_refused_with_what_they_take() -> None:
    with pytest.raises(UsageError, match=r"the smallest formats of this model take"):
        spend(market(), budget=market().least_bytes // 2)
    for shard_bytes in (10**9, 1000):  # each file has a header
        least = market().least_file_bytes(shard_bytes=shard_bytes)
        choices = spend(market(), budget=least, shard_bytes=shard_bytes).choices
        assert lay_out_folder(market().config, choices, shard_bytes=shard_bytes).file_bytes <= least
        with pytest.raises(UsageError, match=r"the smallest formats of this model take"):
            spend(market(), budget=least - 1, shard_bytes=shard_bytes)


def test_another_layout_of_the_same_model_gets_the_same_plan(tmp_path: Path) -> None:
    raw = group_config_json()
    config = model_config_from_dict(raw)
    folder = write_hub_folder(
        tmp_path / "t5", transformers5_config_json(raw), random_parameters(config), layout="transformers5"
    )
    other = open_checkpoint(folder)
    found = open_market(other.config, checkpoint=other, weights=Fisher("layers.2.self_attn"))
    budget = between(market(), 0.2)
    assert spend(found, budget=budget).choices == spend(market(), budget=budget).choices


@pytest.mark.parametrize("size", FAMILY)
def test_published_models_are_planned_from_shapes_alone(size: str) -> None:
    config: ModelConfig = FAMILY[size]
    found = open_market(config)
    assert not found.is_measured
    budget = int(1.25 * found.least_bytes)
    spending = spend(found, budget=budget)
    assert 0.995 * budget <= lay_out_folder(config, spending.choices).file_bytes <= budget
    assert spending.solution.loss <= 1.02 * spending.solution.bound
