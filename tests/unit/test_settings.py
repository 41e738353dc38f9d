from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge.errors import ConfigError
from edge.settings import (
    GenerationSettings,
    ImageSettings,
    VideoSettings,
    generation_settings_from_dict,
    image_settings_from_dict,
    read_generation_settings,
    read_image_settings,
    read_video_settings,
    video_settings_from_dict,
)

HUB = {
    "size": {"longest_edge": 16777216, "shortest_edge": 65536},
    "patch_size": 16,
    "temporal_patch_size": 2,
    "merge_size": 2,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "processor_class": "Qwen3VLProcessor",
    "image_processor_type": "Qwen2VLImageProcessorFast",
}
RESAVED = {
    **HUB,
    "crop_size": None,
    "do_center_crop": None,
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "max_pixels": None,
    "min_pixels": None,
    "resample": 3,
    "rescale_factor": 0.00392156862745098,
}
VIDEO = {**RESAVED, "size": {"longest_edge": 25165824, "shortest_edge": 4096}, "fps": 2, "max_frames": 768}


def test_the_hubs_and_mlx_communitys_spellings_mean_the_same() -> None:
    assert image_settings_from_dict(HUB) == image_settings_from_dict(RESAVED) == ImageSettings()
    assert video_settings_from_dict(VIDEO) == VideoSettings()


def test_older_names_of_the_limits_win() -> None:
    settings = image_settings_from_dict({**HUB, "min_pixels": 4096, "max_pixels": 8192})
    assert (settings.min_pixels, settings.max_pixels) == (4096, 8192)


def test_a_transformers_5_save_has_one_file_and_it_wins(tmp_path: Path) -> None:
    video = {**VIDEO, "max_frames": 64}
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": HUB, "video_processor": video}))
    (tmp_path / "video_preprocessor_config.json").write_text(json.dumps(VIDEO))
    assert read_image_settings(tmp_path) == ImageSettings()
    assert read_video_settings(tmp_path).max_frames == 64


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"do_resize": False}, "do_resize False is not supported"),
        ({"do_pad": True}, "do_pad True is not supported"),
        ({"resample": 2}, "resample 2 is not supported"),
        ({"rescale_factor": 1.0}, "rescale_factor"),
        ({"size": None}, "is missing"),
        ({"size": {"shortest_edge": 65536}}, "max_pixels is missing"),
        ({"size": {"shortest_edge": 9, "longest_edge": 5}}, "exceed"),
        ({"size": {"shortest_edge": "9", "longest_edge": 50}}, "whole number"),
        ({"patch_size": 0}, "patch_size should be a whole number"),
        ({"image_mean": [0.5]}, "image_mean should be three numbers"),
        ({"image_std": [0.5, 0.0, 0.5]}, "three positive numbers"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        image_settings_from_dict({**HUB, **change})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"fps": 0}, "fps should be a number"),
        ({"num_frames": 16}, "num_frames 16 is not supported"),
        ({"min_frames": 9, "max_frames": 4}, "min_frames 9 exceeds"),
        ({"cap_pixels_per_frame": "yes"}, "true or false"),
    ],
)
def test_video_values_are_checked(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        video_settings_from_dict({**VIDEO, **change})


def test_sampling_advice_is_read_not_assumed() -> None:
    raw = {"do_sample": True, "temperature": 0.8, "top_p": 0.95, "top_k": 20, "eos_token_id": [151645, 151643]}
    assert generation_settings_from_dict(raw) == GenerationSettings(
        do_sample=True, temperature=0.8, top_p=0.95, top_k=20, eos_token_ids=(151645, 151643)
    )
    assert generation_settings_from_dict({"eos_token_id": 5, "pad_token_id": 7}).eos_token_ids == (5,)
    assert generation_settings_from_dict({}) == GenerationSettings()


@pytest.mark.parametrize(
    "raw",
    [{"temperature": "hot"}, {"temperature": -1}, {"top_p": 1.5}, {"top_k": 1.5}, {"eos_token_id": ["x"]}],
)
def test_wrong_sampling_values_are_named(raw: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(raw))):
        generation_settings_from_dict(raw)


def test_a_converters_merged_config_is_read_when_nothing_else_is_there(tmp_path: Path) -> None:
    assert read_generation_settings(tmp_path) == GenerationSettings()
    (tmp_path / "config.json").write_text(json.dumps({"temperature": 0.7, "eos_token_id": 5}))
    assert read_generation_settings(tmp_path).temperature == 0.7


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, (65536, 16777216)),
        ({"max_pixels": 1024}, (1024, 1024)),
        ({"min_pixels": 33554432}, (33554432, 33554432)),
        ({"min_pixels": 5, "max_pixels": 9}, (5, 9)),
    ],
)
def test_limits_can_be_narrowed(wanted: dict[str, int], expected: tuple[int, int]) -> None:
    settings = ImageSettings().with_limits(**wanted)
    assert (settings.min_pixels, settings.max_pixels) == expected
