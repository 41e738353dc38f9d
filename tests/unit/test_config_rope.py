"""The rotary embedding of config.json: which of two places counts, and what a missing value means."""

from __future__ import annotations

from typing import Any

import pytest

from edge.config import RopeConfig
from edge.config_rope import read_rope
from edge.errors import ConfigError
from edge.json_reader import JsonReader

SECTION = [24, 20, 20]


def rope_of(**text: Any) -> RopeConfig:  # Any: JSON
    return read_rope(JsonReader({"max_position_embeddings": 8192, **text}, "text_config"), 128)


def test_the_base_in_the_block_wins_over_an_older_one_beside_it() -> None:
    rope = rope_of(rope_parameters={"rope_theta": 10000, "mrope_section": SECTION}, rope_theta=5000000)
    assert rope == RopeConfig(10000.0, (24, 20, 20))


def test_without_any_block_or_base_the_values_are_those_of_transformers() -> None:
    assert rope_of() == RopeConfig(500000.0, (24, 20, 20))
    assert rope_of(rope_theta=7) == RopeConfig(7.0, (24, 20, 20))


def test_the_older_name_of_the_block_wins_unless_it_is_empty() -> None:
    older, newer = {"rope_theta": 1.0}, {"rope_theta": 2.0}
    assert rope_of(rope_scaling=older, rope_parameters=newer).theta == 1.0
    assert rope_of(rope_scaling={}, rope_parameters=newer).theta == 2.0
    assert rope_of(rope_scaling=None, rope_parameters=newer).theta == 2.0


@pytest.mark.parametrize(
    ("text", "block", "expected"),
    [
        ({}, {}, 8192),
        ({}, {"original_max_position_embeddings": 100}, 100),
        ({"original_max_position_embeddings": 7}, {}, 7),
    ],
)
def test_yarn_finds_its_original_length(text: dict[str, Any], block: dict[str, Any], expected: int) -> None:
    rope = rope_of(rope_scaling={"rope_type": "yarn", "factor": 3.0, **block}, **text)
    assert rope.original_max_position_embeddings == expected


def test_yarn_with_a_null_factor_takes_the_ratio_of_the_lengths() -> None:
    block = {"rope_type": "yarn", "factor": None, "original_max_position_embeddings": 2048}
    assert rope_of(rope_scaling=block).factor == 4.0


def test_two_scales_of_yarn_become_one_factor() -> None:
    block = {"rope_type": "yarn", "factor": 1.0, "mscale": 2.0, "mscale_all_dim": 3.0}
    assert rope_of(rope_scaling=block).attention_factor == 1.0


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"rope_type": "yarn"}, "factor is missing"),
        ({"mrope_section": [24, 20, 21]}, "three numbers with sum 64"),
        ({"mrope_section": [84, -10, -10]}, "three numbers with sum 64"),
        ({"partial_rotary_factor": 0.25}, "partial_rotary_factor 0.25 is not supported"),
        ({"rope_theta": None}, "rope_theta is missing"),
    ],
)
def test_what_cannot_be_meant_is_refused(block: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        rope_of(rope_scaling=block, rope_theta=5.0)
