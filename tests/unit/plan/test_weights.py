from __future__ import annotations

import pytest

from convert.mlx.layout import lay_out_folder
from edge.checkpoint.folder import open_checkpoint
from edge.config import ModelConfig
from edge.loading import demo_folder
from edge.plan.family import FAMILY
from edge.plan.recipes import RECIPES, recipe_formats
from edge.plan.weights import recipe_bytes
from tests.unit.run.tiny import tiny_config


def converted_bytes(config: ModelConfig, recipe: str) -> int:
    return lay_out_folder(config, recipe_formats(config, recipe)).weight_bytes


@pytest.mark.parametrize("recipe", list(RECIPES))
@pytest.mark.parametrize("size", ["2B", "30B-A3B"])
def test_the_bytes_are_those_the_converter_writes(size: str, recipe: str) -> None:
    assert recipe_bytes(FAMILY[size], recipe) == converted_bytes(FAMILY[size], recipe)


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_so_they_are_for_small_models_with_odd_sizes(recipe: str) -> None:
    for config in (tiny_config(), open_checkpoint(demo_folder()).config):
        assert recipe_bytes(config, recipe) == converted_bytes(config, recipe)
