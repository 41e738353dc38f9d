"""The table of all outputs: one line each, sizes as published, Macs that fit."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path

import pytest

from convert.__main__ import main
from convert.gguf.plan import describe_types
from convert.gguf.types import FILE_TYPES, PROJECTOR_TYPES
from convert.overview import describe_outputs
from edge.checkpoint.names.hub import expected_parameters
from edge.config_json import model_config_from_dict
from edge.loading import DEMO_FOLDER
from edge.plan.recipes import RECIPES
from tests.shared_facts import FACTS, needs_facts


@needs_facts
@pytest.mark.parametrize(
    ("config_file", "kind", "published"),
    [
        ("hub_30b_thinking/config.json", "Q4_K_M", 18_556_687_200),
        ("hub_30b_thinking/config.json", "Q8_0", 32_483_933_024),
        ("hub_dense/config_8B.json", "Q4_K_M", 5_027_784_800),
        ("hub_dense/config_4B.json", "Q8_0", 4_280_406_144),
    ],
)
def test_text_files_have_the_published_sizes(config_file: str, kind: str, published: int) -> None:
    config = model_config_from_dict(json.loads((FACTS / "raw" / config_file).read_text()))
    stored = describe_types(config, FILE_TYPES[kind], PROJECTOR_TYPES["F16"])
    found = sum(item.num_bytes for item in stored if not item.name.startswith("vision_tower."))
    assert 0 < published - found < 8_000_000  # the vocabulary and other metadata


@needs_facts
def test_the_30b_fits_where_its_bytes_do() -> None:
    config = model_config_from_dict(json.loads((FACTS / "raw" / "hub_30b_thinking/config.json").read_text()))
    lines = {" ".join(line.split()[:3]): line.split()[5:] for line in describe_outputs(config)[1:]}
    assert lines["mlx --recipe 4bit"][:2] == ["-", "-"]
    assert lines["mlx --recipe 4bit"][-1] == "+"
    assert lines["mlx --recipe bf16"][-1] == "+"
    assert lines["gguf --type F32"][-1] == "-"
    assert lines["gguf --type Q4_K_M"][3] not in "-+"


def test_every_parameter_is_counted_once() -> None:
    config = model_config_from_dict(json.loads((DEMO_FOLDER / "config.json").read_text()))
    stored = describe_types(config, FILE_TYPES["Q8_0"], PROJECTOR_TYPES["F16"])
    shapes = expected_parameters(config)
    assert {item.name for item in stored} == set(shapes)
    assert {item.name: prod(item.shape) for item in stored} == {name: prod(shape) for name, shape in shapes.items()}


def test_the_command_prints_a_line_for_every_recipe_and_type(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(DEMO_FOLDER)]) == 0
    told = capsys.readouterr().out
    assert all(f"mlx --recipe {name} " in told for name in RECIPES)
    assert told.splitlines()[0].split()[1] == "MB"  # in GB all lines of a small model would say 0.02
    assert all(f"gguf --type {name} " in told for name in FILE_TYPES)


@pytest.mark.parametrize(
    "words",
    [
        ["plan", "4b"],
        ["mlx", "4b", "--dry-run"],
        ["mlx", "4b", "--dry-run", "--size", "3bit"],
        ["gguf", "4b", "--dry-run"],
        ["gguf", "4b", "--dry-run", "--size", "q4_k_m"],
    ],
)
def test_a_published_name_is_planned_whatever_is_asked_for(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("Qwen3-VL-4B as it is published, from its shapes alone.\n")


@pytest.mark.parametrize("words", [["mlx", "4b", "out"], ["gguf", "4b", "o.gguf"], ["calibrate", "4b", "o.calib"]])
def test_what_reads_weights_names_the_repository_of_a_published_name(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert "hub id such as Qwen/Qwen3-VL-4B-Instruct" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
