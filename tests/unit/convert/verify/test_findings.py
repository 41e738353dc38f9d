"""Faults are told from quantization, and named by the block where they begin."""

from __future__ import annotations

from dataclasses import replace

import pytest

from convert.verify.findings import find_faults
from convert.verify.results import StageError


def layers(*errors: float) -> list[StageError]:
    return [
        StageError(f"layer {index}", "layer", index, error, error, 2 * error, error, error)
        for index, error in enumerate(errors)
    ]


def where(stages: list[StageError], head_kl: float = 0.0) -> list[str]:
    return [finding.where for finding in find_faults(stages, head_kl=head_kl)]


@pytest.mark.parametrize("error", [1e-7, 0.01, 0.1, 0.2], ids=["float32", "8 bits", "4 bits", "3 bits"])
def test_even_errors_are_no_fault(error: float) -> None:
    assert where(layers(error, 1.5 * error, 0.8 * error, 2 * error)) == []


def test_rounding_that_varies_is_no_fault() -> None:
    assert where(layers(1e-7, 1e-7, 8e-5, 1e-7)) == []


def test_a_layer_that_errs_several_times_as_much_is_a_fault() -> None:
    assert where(layers(0.05, 0.06, 0.3, 0.05)) == ["layer 2"]


def test_a_layer_that_errs_in_few_tokens_is_a_fault() -> None:
    stages = layers(0.05, 0.05, 0.05, 0.05)
    stages[1] = replace(stages[1], worst=0.9)
    assert where(stages) == ["layer 1"]


def test_errors_everywhere_beyond_quantization_are_a_fault() -> None:
    assert where(layers(0.6, 0.6, 0.7)) == ["layer 0", "layer 1", "layer 2"]


def test_the_earliest_fault_comes_first() -> None:
    stages = [StageError("DeepStack level 1", "DeepStack level", 1, 1.0, 1.0, 1.0), *layers(0.05, 0.05, 0.5, 0.05)]
    assert where(stages) == ["DeepStack level 1", "layer 2"]


def test_errors_on_pictures_only_in_all_layers_point_at_the_rotary_axes() -> None:
    stages = [replace(stage, with_media=0.3, without_media=0.05) for stage in layers(0.1, 0.1, 0.1, 0.1)]
    findings = find_faults(stages, head_kl=0.0)
    assert [finding.where for finding in findings] == ["layer 0"]
    assert "rotary axes" in findings[0].what


def test_errors_on_pictures_only_in_one_layer_point_at_deepstack() -> None:
    stages = layers(0.1, 0.1, 0.1, 0.1)
    stages[1] = replace(stages[1], with_media=0.4)
    findings = find_faults(stages, head_kl=0.0)
    assert [finding.where for finding in findings] == ["layer 1"]
    assert "DeepStack" in findings[0].what


def test_a_coarse_router_is_a_fault_and_counted() -> None:
    stages = [replace(stage, router_changed=0.4) for stage in layers(0.1, 0.1, 0.1)]
    findings = find_faults(stages, head_kl=0.0)
    assert [finding.where for finding in findings] == ["layer 0"]
    assert "so in 3 of 3 layers" in findings[0].what


def test_experts_that_changed_places_are_named_even_when_they_are_half_of_all() -> None:
    stages = layers(0.1, 0.1, 0.1)
    stages[2] = replace(stages[2], expert_errors=(0.09, 1.4, 0.1, 1.3))
    findings = find_faults(stages, head_kl=0.0)
    assert [finding.where for finding in findings] == ["layer 2"]
    assert "experts 1, 3" in findings[0].what


def test_a_broken_head_is_a_fault() -> None:
    assert where(layers(0.1, 0.1, 0.1), head_kl=2.0) == ["vocabulary projection"]


def test_an_expert_that_rounds_worse_than_others_is_no_fault() -> None:
    stages = layers(0.1, 0.1, 0.1)
    stages[2] = replace(stages[2], expert_errors=(0.07, 0.02, 0.017, 0.066))  # seen with Q4_K_M
    assert where(stages) == []


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_block_without_numbers_is_the_fault(value: float) -> None:
    stages = layers(0.05, 0.06, 0.05, 0.05)
    stages[2] = replace(stages[2], own=value, worst=value, with_media=value, without_media=value)
    findings = find_faults(stages, head_kl=value)
    assert [finding.where for finding in findings] == ["layer 2", "vocabulary projection"]
    assert "infinite or no number" in findings[0].what


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (0.010, []),  # measured with the demo's tower at 8 bits
        (0.030, ["vision merger"]),
        (1.2, ["vision merger"]),
    ],
)
def test_the_last_merger_errs_more_than_deepstack_levels_without_a_fault(error: float, found: list[str]) -> None:
    own = {"DeepStack level 0": 0.0027, "DeepStack level 1": 0.0033, "DeepStack level 2": 0.0033}
    stages = [
        StageError(label, "DeepStack level", index, value, value, 1.3 * value)
        for index, (label, value) in enumerate(own.items())
    ]
    stages.append(StageError("vision merger", "vision merger", 0, error, error, 2 * error))
    assert where(stages) == found
