"""Plans of the real models, from shapes alone: published sizes, groups, Macs."""

from __future__ import annotations

import json
import re

import pytest

from convert.mlx.layout import lay_out_folder
from convert.mlx.run import Plan, make_plan
from convert.plan import context_tokens, describe_macs, describe_plan, make_rows
from edge.checkpoint.names.hub import expected_parameters
from edge.config_json import model_config_from_dict
from edge.memory import Precision
from edge.plan.recipes import RECIPES
from tests.figures import note_figure
from tests.shared_facts import FACTS, needs_facts
from tests.unit.checkpoint.checkpoints import tiny_config_json
from tests.unit.convert.mlx.conversion import settings_of

METAL = Precision(itemsize=2, is_attention_fused=True)


def plan_of(config_file: str, recipe: str, **overrides: str) -> Plan:
    config = model_config_from_dict(json.loads((FACTS / "raw" / config_file).read_text()))
    patterns = {name.replace("__", "."): value for name, value in overrides.items()}
    return make_plan(config, settings_of(recipe, overrides=patterns, shard_bytes=5_000_000_000))


def _sizes(plan: Plan) -> list[int]:
    return [shard.num_bytes for shard in plan.layout.shards]


@needs_facts
def test_the_published_4_bit_payload_is_met_to_the_byte_with_their_router() -> None:
    plan = plan_of("hub_30b_thinking/config.json", "4bit", mlp__gate="4bit")
    assert note_figure("planned-30b", plan.layout.weight_bytes) == 18_251_885_024


@needs_facts
@pytest.mark.parametrize(
    ("config_file", "recipe", "published_gb"),
    [
        ("hub_30b_thinking/config.json", "4bit", 18.27),
        ("hub_30b_thinking/config.json", "8bit", 33.53),
        ("hub_dense/config_32B.json", "4bit", 19.64),
        ("hub_dense/config_8B.json", "8bit", 9.87),
        ("hub_dense/config_4B.json", "4bit", 3.11),
        ("hub_235b/config.json", "3bit", 104.02),
    ],
)
def test_plans_meet_the_published_sizes(config_file: str, recipe: str, published_gb: float) -> None:
    # Published: the whole repository, with 15 to 17 MB of tokenizer and processor files.
    whole_gb = (plan_of(config_file, recipe).layout.file_bytes + 16e6) / 1e9
    assert abs(whole_gb / published_gb - 1) < (0.001 if published_gb > 9 else 0.002)  # two decimals are printed


@needs_facts
def test_the_plan_of_the_30b_names_groups_bits_total_and_macs() -> None:
    plan = plan_of("hub_30b_thinking/config.json", "4bit")
    lines = describe_plan(plan.config, plan.layout.stored(), files=_sizes(plan), available=30_000_000_000, here=METAL)
    text = "\n".join(lines)
    assert re.search(r"vision tower +351 +bf16 +1\.077 +16\.00\n", text)
    assert re.search(r"mlp\.gate +48 +8bit +0\.013 +8\.50  4bit keeps mlp\.gate at 8bit\n", text)
    assert re.search(r"mlp\.switch_mlp\.down_proj +48 +4bit +5\.436 +4\.50\n", text)
    assert re.search(r"total +930 +18\.258 +4\.70\n", text)
    assert "This machine (30.0 GB free): fits, with " in text
    assert "     16 GB   does not fit" in lines
    assert "     64 GB   fits, with the whole context of 262,144 tokens" in lines


@needs_facts
def test_a_context_that_is_promised_fits_and_twice_it_does_not() -> None:
    plan = plan_of("hub_dense/config_8B.json", "4bit")
    usable = 10_000_000_000
    weights = plan.layout.weight_bytes
    tokens = context_tokens(plan.config, weight_bytes=weights, usable_bytes=usable)
    per_token = plan.config.text.kv_values_per_token * 2
    assert 1000 < tokens < plan.config.text.max_position_embeddings
    assert weights + tokens * per_token < usable < weights + 2 * tokens * per_token
    assert context_tokens(plan.config, weight_bytes=usable, usable_bytes=usable) == 0
    assert "does not fit" in describe_macs(plan.config, 10**12)[-1]


@pytest.mark.parametrize("is_coarse", [True, False])
@pytest.mark.parametrize("recipe", list(RECIPES))
def test_rows_count_every_parameter_and_byte_once(recipe: str, is_coarse: bool) -> None:
    config = model_config_from_dict(tiny_config_json())
    plan = make_plan(config, settings_of(recipe))
    rows = make_rows(plan.layout.stored(), is_coarse=is_coarse)
    assert sum(row.num_tensors for row in rows) == len(expected_parameters(config))
    assert sum(row.num_bytes for row in rows) == plan.layout.weight_bytes
    assert sum(row.num_weights for row in rows) == plan.layout.num_parameters


def test_what_cannot_be_grouped_is_listed_with_the_reason() -> None:
    config = model_config_from_dict(tiny_config_json())
    plan = make_plan(config, settings_of("4bit", overrides={"vision_tower": "8bit"}))
    text = "\n".join(describe_plan(config, plan.layout.stored(), files=_sizes(plan), available=10**9, here=METAL))
    assert "48 inputs are no multiple of the group size 64" in text


def test_a_parameter_larger_than_a_file_gets_one_of_its_own() -> None:
    config = model_config_from_dict(tiny_config_json())
    choices = make_plan(config, settings_of("bf16")).layout.choices
    layout = lay_out_folder(config, choices, shard_bytes=1)
    assert len(layout.shards) == len(choices)


def test_long_names_keep_the_columns_of_the_table_in_line() -> None:
    config = model_config_from_dict(tiny_config_json())
    plan = make_plan(config, settings_of("4bit", overrides={"vision_tower": "8bit"}))
    lines = describe_plan(config, plan.layout.stored(), files=_sizes(plan), available=30_000_000_000, here=METAL)
    table = lines[: lines.index("")]
    assert any("deepstack_merger_list.N.linear_fc1" in line for line in table)
    ends = [re.match(r"\S.*?\s+\d+(?= )", line) for line in table[1:]]
    assert len({found.end() for found in ends if found}) == 1
