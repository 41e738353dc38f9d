"""Which format every weight gets."""

from __future__ import annotations

import json

import pytest

from convert.formats import parse_format
from edge.config import ModelConfig
from edge.config_json import model_config_from_dict
from edge.errors import UsageError
from edge.plan.recipes import (
    FORMATS,
    RECIPES,
    Choice,
    Override,
    Recipe,
    choose_formats,
    fits_pattern,
    format_name,
)
from tests.shared_facts import FACTS, needs_facts
from tests.unit.checkpoint.checkpoints import tiny_config_json

LAYER = "language_model.model.layers"


def tiny_config(num_layers: int = 16) -> ModelConfig:
    raw = tiny_config_json()
    raw["text_config"] |= {"num_hidden_layers": num_layers, "num_attention_heads": 8, "moe_intermediate_size": 192}
    return model_config_from_dict(raw)


def choose(recipe: str, *overrides: tuple[str, str]) -> dict[str, Choice]:
    chosen = RECIPES[recipe]
    parsed = [(pattern, parse_format(name)) for pattern, name in overrides]
    return choose_formats(tiny_config(), base=chosen.format, recipe=chosen, overrides=parsed)


def stored(choices: dict[str, Choice], name: str) -> str:
    return format_name(choices[f"{name}.weight"].format)


@pytest.mark.parametrize("recipe", [name for name in RECIPES if name != "bf16"])
def test_the_router_keeps_8_bits_or_more_in_every_recipe(recipe: str) -> None:
    """A router in 4 bits sends many tokens to other experts."""
    routers = {name: choice for name, choice in choose(recipe).items() if name.endswith("mlp.gate.weight")}
    assert len(routers) == 15  # one layer of the tiny model is dense
    assert {format_name(choice.format) for choice in routers.values()} == {"8bit"}


@pytest.mark.parametrize("recipe", [name for name in RECIPES if not name.endswith("-experts")])
def test_the_vision_tower_and_all_norms_stay_bf16_unless_asked(recipe: str) -> None:
    choices = choose(recipe)
    plain = [name for name in choices if name.startswith("vision_tower.") or name.endswith("norm.weight")]
    assert len(plain) > 50
    assert all(choices[name] == Choice(None) for name in plain)


@pytest.mark.parametrize("bits", ["3bit", "4bit"])
def test_few_bits_go_to_the_experts_alone(bits: str) -> None:
    choices = choose(f"{bits}-experts")
    names = ("self_attn.q_proj", "self_attn.o_proj", "mlp.gate", "mlp.switch_mlp.up_proj", "mlp.switch_mlp.down_proj")
    assert [stored(choices, f"{LAYER}.0.{name}") for name in names] == ["6bit", "6bit", "8bit", bits, bits]
    assert stored(choices, f"{LAYER}.1.mlp.gate_proj") == bits  # a dense layer
    assert stored(choices, "language_model.model.embed_tokens") == "6bit"
    assert stored(choices, "vision_tower.merger.linear_fc1") == "8bit"
    assert all(choices[name].format is None for name in choices if name.endswith("norm.weight"))


def test_a_pattern_fits_whole_names_only() -> None:
    assert fits_pattern("mlp.gate", f"{LAYER}.0.mlp.gate")
    assert not fits_pattern("mlp.gate", f"{LAYER}.0.mlp.gate_proj")
    assert fits_pattern("layers.1", f"{LAYER}.1.mlp.gate_proj")
    assert not fits_pattern("layers.1", f"{LAYER}.11.mlp.gate_proj")
    assert fits_pattern("self_attn.[vo]_proj", f"{LAYER}.3.self_attn.v_proj")
    assert fits_pattern("*", "language_model.lm_head")


def test_an_asked_format_wins_over_the_recipe_and_the_last_one_counts() -> None:
    choices = choose("4bit", ("mlp.gate", "4bit"), ("self_attn.*", "6bit"), ("layers.2.self_attn.*", "bf16"))
    assert stored(choices, f"{LAYER}.0.mlp.gate") == "4bit"
    assert "below 8 bits most tokens change their experts" in choices[f"{LAYER}.0.mlp.gate.weight"].reason
    assert stored(choices, f"{LAYER}.0.self_attn.v_proj") == "6bit"
    assert stored(choices, f"{LAYER}.2.self_attn.v_proj") == "bf16"


def test_a_mixed_recipe_spends_bits_on_values_outputs_outer_layers_and_both_ends() -> None:
    choices = choose("4bit-mixed")
    assert stored(choices, f"{LAYER}.7.self_attn.q_proj") == "4bit"
    assert stored(choices, f"{LAYER}.7.self_attn.v_proj") == "6bit"
    assert stored(choices, f"{LAYER}.7.self_attn.o_proj") == "6bit"
    outer = [stored(choices, f"{LAYER}.{layer}.mlp.switch_mlp.down_proj") for layer in (0, 2, 13, 14, 15)]
    assert outer == ["6bit", "4bit", "4bit", "6bit", "6bit"]
    assert stored(choices, "language_model.model.embed_tokens") == "6bit"
    assert stored(choices, "language_model.lm_head") == "6bit"


def test_inputs_that_do_not_split_get_a_smaller_group_or_stay_bf16_and_say_so() -> None:
    raw = tiny_config_json()  # experts have 160 inputs to their down projection, the vision tower's fc2 has 48
    config = model_config_from_dict(raw)
    recipe = RECIPES["4bit"]
    overrides = [("vision_tower.blocks", parse_format("8bit"))]
    choices = choose_formats(config, base=FORMATS["4bit"], recipe=recipe, overrides=overrides)
    down = choices[f"{LAYER}.0.mlp.switch_mlp.down_proj.weight"]
    assert (format_name(down.format), down.reason) == ("4bit/32", "160 inputs are no multiple of the group size 64")
    fc2 = choices["vision_tower.blocks.0.mlp.linear_fc2.weight"]
    assert (fc2.format, fc2.reason) == (None, "48 inputs are no multiple of the group size 64")


def test_the_patch_convolution_and_the_position_table_are_never_packed() -> None:
    choices = choose("8bit", ("vision_tower", "8bit"))
    assert choices["vision_tower.patch_embed.proj.weight"] == Choice(None)
    assert choices["vision_tower.pos_embed.weight"] == Choice(None)
    assert stored(choices, "vision_tower.blocks.0.attn.qkv") == "8bit/32"


@needs_facts
def test_4304_inputs_of_the_real_vision_tower_stay_bf16_when_the_rest_is_packed() -> None:
    raw = json.loads((FACTS / "raw" / "hub_30b_thinking" / "config.json").read_text())
    config = model_config_from_dict(raw)
    overrides = [("vision_tower", parse_format("8bit"))]
    choices = choose_formats(config, base=FORMATS["4bit"], recipe=RECIPES["4bit"], overrides=overrides)
    plain = [name for name, choice in choices.items() if choice.format is None and choice.reason]
    assert len(plain) == 27
    assert all(name.endswith("mlp.linear_fc2.weight") for name in plain)


def test_more_bits_than_a_recipe_raises_to_are_not_lowered() -> None:
    choices = choose_formats(tiny_config(), base=FORMATS["8bit"], recipe=RECIPES["4bit-mixed"])
    assert format_name(choices[f"{LAYER}.7.self_attn.v_proj.weight"].format) == "8bit"


def test_a_recipe_may_raise_the_vision_tower_too() -> None:
    recipe = Recipe("tower", "8 bits for the tower.", "4bit", (Override("vision_tower.merger", "8bit"),))
    choices = choose_formats(tiny_config(), base=recipe.format, recipe=recipe)
    assert stored(choices, "vision_tower.merger.linear_fc1").startswith("8bit")
    assert choices["vision_tower.blocks.0.attn.qkv.weight"] == Choice(None)


@pytest.mark.parametrize("wanted", ["3bit", "5bit"])
def test_a_row_whose_override_would_lower_the_bits_is_refused(wanted: str) -> None:
    """Since overrides raise, it would be left without effect."""
    with pytest.raises(AssertionError, match=f"recipe down: switch_mlp at {wanted} has fewer bits than 6bit"):
        Recipe("down", "Fewer bits for the experts.", "6bit", (Override("switch_mlp", wanted),))


def test_a_pattern_that_fits_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="--set 'v_porj' fits no matrix of this model"):
        choose("4bit", ("v_porj", "8bit"))
