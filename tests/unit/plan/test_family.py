from __future__ import annotations

from math import prod

import pytest

from edge.checkpoint.names.hub import expected_parameters
from edge.kv.make import bytes_per_token
from edge.plan.family import FAMILY, find_published


@pytest.mark.parametrize(
    ("size", "parameters", "token_bytes"),
    [
        ("2B", 2_127_532_032, 114_688),
        ("4B", 4_437_815_808, 147_456),
        ("8B", 8_767_123_696, 147_456),
        ("32B", 33_357_390_064, 262_144),
        ("30B-A3B", 31_070_754_032, 98_304),
        ("235B-A22B", 235_670_022_896, 192_512),
    ],
)
def test_the_numbers_give_the_published_counts(size: str, parameters: int, token_bytes: int) -> None:
    config = FAMILY[size]
    assert sum(prod(shape) for shape in expected_parameters(config).values()) == parameters
    assert bytes_per_token(config.text, kv_bits=None, itemsize=2) == token_bytes


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("30b", "30B-A3B"),
        ("4B-thinking", "4B"),
        ("Qwen/Qwen3-VL-30B-A3B-Thinking", "30B-A3B"),
        ("mlx-community/Qwen3-VL-8B-Instruct-4bit", "8B"),
        ("235b", "235B-A22B"),
        ("32B", "32B"),
    ],
)
def test_short_names_and_hub_ids_are_known(name: str, size: str) -> None:
    found = find_published(name)
    assert found is not None
    assert found[0] == size


@pytest.mark.parametrize("name", ["", "7b", "org/Other-8B", "4bit", "30b-32b", "a4b8", "./2b/model"])
def test_other_names_are_not(name: str) -> None:
    assert find_published(name) is None
