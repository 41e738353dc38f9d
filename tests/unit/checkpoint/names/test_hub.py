"""Name tables against the tensor lists of every published size, and against the model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import prod

import mlx.core as mx
import pytest

from edge.checkpoint.names.hub import HubLayout, expected_parameters, hub_name, hub_table, mlx_table
from edge.config_json import model_config_from_dict, model_config_from_file
from edge.model.qwen3vl import Qwen3VL
from tests.shared_facts import FACTS, needs_facts
from tests.unit.checkpoint.checkpoints import (
    hub_tensors,
    is_fp8_on_hub,
    parameters_of,
    random_parameters,
    tiny_config_json,
)

CONFIGS = {
    "2B": "hub_dense/config_2B.json",
    "4B": "hub_dense/config_4B.json",
    "8B": "hub_dense/config_8B.json",
    "32B": "hub_dense/config_32B.json",
    "30B-A3B": "hub_30b_thinking/config.json",
    "235B-A22B": "hub_235b/config.json",
}


@dataclass(frozen=True)
class Stored:
    shape: tuple[int, ...]
    dtype: str = "BF16"


def listed(file_name: str) -> dict[str, Stored]:
    tensors = json.loads((FACTS / "weights" / file_name).read_text())["tensors"]
    return {
        name: Stored(tuple(entry["shape"]), entry["dtype"]) if isinstance(entry, dict) else Stored(tuple(entry))
        for name, entry in tensors.items()
    }


@needs_facts
@pytest.mark.parametrize("size", CONFIGS)
def test_every_published_tensor_has_one_place_and_every_place_one_tensor(size: str) -> None:
    config = model_config_from_file(FACTS / "raw" / CONFIGS[size])
    stored = listed(f"shapes_{size}.json")
    table = hub_table(config, "hub")
    assert table.match(stored).fits
    assert {name: tensor.shape for name, tensor in stored.items()} == table.source_shapes()


@needs_facts
def test_the_dumped_30b_list_fits() -> None:
    config = model_config_from_file(FACTS / "raw" / CONFIGS["30B-A3B"])
    assert hub_table(config, "hub").match(listed("bf16_30B-A3B-Thinking.json")).fits


@needs_facts
def test_the_fp8_30b_list_fits_with_its_scales() -> None:
    config = model_config_from_file(FACTS / "raw" / "hub_30b_thinking" / "config_fp8.json")
    stored = listed("fp8_30B-A3B-Thinking.json")
    names = [name for name, tensor in stored.items() if tensor.dtype == "F8_E4M3"]
    assert len(names) == 288
    assert set(names) == set(filter(is_fp8_on_hub, hub_table(config, "hub").source_shapes()))
    assert hub_table(config, "hub", fp8_names=names).match(stored).fits


@needs_facts
def test_the_published_4_bit_30b_has_exactly_the_bytes_of_its_table() -> None:
    config = model_config_from_file(FACTS / "raw" / "mlx_config_30B_4bit.json")
    assert config.quantization is not None
    packed = {
        name.removesuffix(".weight"): config.quantization.default
        for name, shape in expected_parameters(config).items()
        if name.startswith("language_model.") and len(shape) > 1
    }
    targets = mlx_table(config, packed).targets().values()
    num_bytes = {"U32": 4, "float": 2, "U8": 1}
    assert sum(prod(target.shape) * num_bytes[target.stored_as] for target in targets) == 18_251_885_024


@needs_facts
@pytest.mark.parametrize(("size", "num_parameters"), [("2B", 2_127_532_032), ("235B-A22B", 235_670_022_896)])
def test_the_parameter_count_is_the_published_one(size: str, num_parameters: int) -> None:
    config = model_config_from_file(FACTS / "raw" / CONFIGS[size])
    model = Qwen3VL(config)  # lazy: nothing of this size is allocated
    assert sum(array.size for array in parameters_of(model).values()) == num_parameters


@needs_facts
@pytest.mark.parametrize("size", CONFIGS)
def test_expected_parameters_are_those_of_the_model(size: str) -> None:
    config = model_config_from_file(FACTS / "raw" / CONFIGS[size])
    assert expected_parameters(config) == shapes_of(Qwen3VL(config))


@pytest.mark.parametrize("is_moe", [True, False])
@pytest.mark.parametrize("is_tied", [True, False])
def test_expected_parameters_are_those_of_a_tiny_model(is_moe: bool, is_tied: bool) -> None:
    config = model_config_from_dict(tiny_config_json(is_moe=is_moe, is_tied=is_tied))
    assert expected_parameters(config) == shapes_of(Qwen3VL(config))


def shapes_of(model: Qwen3VL) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in parameters_of(model).items()}


@pytest.mark.parametrize("layout", ["hub", "transformers5"])
@pytest.mark.parametrize("is_moe", [True, False])
def test_a_hub_table_gives_back_what_its_inverse_wrote(layout: HubLayout, is_moe: bool) -> None:
    config = model_config_from_dict(tiny_config_json(is_moe=is_moe))
    parameters = random_parameters(config)
    table = hub_table(config, layout)
    tensors = hub_tensors(parameters, table)
    loaded = {
        name: array
        for rule in table.rules
        for name, array in rule.apply([tensors[source] for source in rule.sources]).items()
    }
    assert loaded.keys() == parameters.keys()
    assert all(mx.array_equal(loaded[name], parameters[name]) for name in parameters)


def test_expert_halves_are_gate_then_up_as_the_reference_slices_them() -> None:
    config = model_config_from_dict(tiny_config_json())
    parameters = random_parameters(config)
    tensors = hub_tensors(parameters, hub_table(config, "hub"))
    stored = tensors["model.language_model.layers.0.mlp.experts.gate_up_proj"]  # (E, H, 2I), used as x @ W
    ours = "language_model.model.layers.0.mlp.switch_mlp"
    assert mx.array_equal(stored[3, :, :160].T, parameters[f"{ours}.gate_proj.weight"][3])
    assert mx.array_equal(stored[3, :, 160:].T, parameters[f"{ours}.up_proj.weight"][3])


def test_the_patch_convolution_moves_channels_last() -> None:
    config = model_config_from_dict(tiny_config_json())
    parameters = random_parameters(config)
    stored = hub_tensors(parameters, hub_table(config, "hub"))["model.visual.patch_embed.proj.weight"]
    assert stored.shape == (32, 3, 2, 4, 4)  # (O, C, T, H, W)
    assert stored[7, 2, 1, 3, 0].item() == parameters["vision_tower.patch_embed.proj.weight"][7, 1, 3, 0, 2].item()


def test_an_mlx_table_renames_nothing() -> None:
    config = model_config_from_dict(tiny_config_json())
    assert all(
        rule.sources == (rule.targets[0].name,) and not rule.ops and len(rule.targets) == 1
        for rule in mlx_table(config, {}).rules
    )


def test_a_path_outside_the_model_has_no_hub_name() -> None:
    with pytest.raises(KeyError):
        hub_name("audio_tower.conv.weight")
