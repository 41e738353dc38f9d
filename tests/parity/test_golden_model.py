"""The model against stored numbers of transformers 4.57.1 kept beside the repository; skipped where they are absent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from safetensors.numpy import load_file

from edge.checkpoint.folder import load_folder
from edge.config import RopeConfig
from edge.model.rope import frequency_axes, make_rope, rope_frequencies
from edge.model.types import VisionOutput, VisualRows
from edge.model.vision_positions import patch_coordinates, position_taps
from tests.parity.reference import relative_error

GOLDEN = Path(__file__).resolve().parents[2].parent / "shared" / "facts" / "golden"
pytestmark = pytest.mark.skipif(not GOLDEN.is_dir(), reason="shared facts are absent")

TOLERANCE = 1e-5
FOLDERS = ["tiny_moe_hub_layout", "tiny_moe_mlx_4bit"]
RAW_ROPE = RopeConfig(theta=5_000_000.0, mrope_section=(24, 20, 20))


def read_json(name: str) -> Any:  # Any: golden data, checked by the assertions
    return json.loads((GOLDEN / name).read_text(encoding="utf-8"))


def read_arrays(name: str) -> dict[str, np.ndarray]:
    return load_file(GOLDEN / name)


@pytest.mark.parametrize("folder", FOLDERS)
def test_logits_of_image_and_video_equal_the_golden_ones(folder: str) -> None:
    model = load_folder(GOLDEN / folder, dtype=mx.float32).model
    golden = read_arrays(f"{folder}_golden.safetensors")
    positions = read_arrays("tiny_moe_hub_layout_golden.safetensors")["position_ids"]  # the same prompt
    ids = golden["input_ids"][0]
    parts, columns = [], []
    for kind, token_id in (("", model.config.image_token_id), ("_videos", model.config.video_token_id)):
        grid_name = "video_grid_thw" if kind else "image_grid_thw"
        grids = [(int(t), int(h), int(w)) for t, h, w in golden[grid_name]]
        parts.append(model.encode_vision(mx.array(golden[f"pixel_values{kind}"]), grids))
        columns.append(np.flatnonzero(ids == token_id))
    order = mx.array(np.argsort(np.concatenate(columns)))
    output = VisionOutput(
        mx.concatenate([part.features for part in parts])[order],
        tuple(mx.concatenate(list(level))[order] for level in zip(*(part.deepstack for part in parts), strict=True)),
    )
    visual = VisualRows(mx.array(np.sort(np.concatenate(columns)).astype(np.int32)), output)
    found = model(mx.array(ids[None].astype(np.int32)), positions=positions, visual=visual)
    assert relative_error(found, golden["logits"]) <= TOLERANCE


@pytest.mark.parametrize("folder", FOLDERS)
def test_logits_of_text_equal_the_golden_ones(folder: str) -> None:
    model = load_folder(GOLDEN / folder, dtype=mx.float32).model
    golden = read_arrays(f"{folder}_golden.safetensors")
    ids = golden["text_ids"].astype(np.int32)
    positions = np.broadcast_to(np.arange(ids.shape[1]), (3, *ids.shape))
    assert relative_error(model(mx.array(ids), positions=positions), golden["text_logits"]) <= TOLERANCE


def test_vision_features_and_deepstack_equal_the_golden_ones() -> None:
    model = load_folder(GOLDEN / FOLDERS[0], dtype=mx.float32).model
    golden = read_arrays(f"{FOLDERS[0]}_golden.safetensors")
    grids = [(int(t), int(h), int(w)) for t, h, w in golden["image_grid_thw"]]
    output = model.encode_vision(mx.array(golden["pixel_values"]), grids)
    assert relative_error(output.features, golden["image_embeds"]) <= TOLERANCE
    for level, features in enumerate(output.deepstack):
        assert relative_error(features, golden[f"deepstack_{level}"]) <= TOLERANCE


def test_interleaved_positions_equal_the_golden_ones() -> None:
    golden = read_json("interleaved_mrope.json")
    axes = frequency_axes((24, 20, 20), 64)
    assert "".join("THW"[axis] for axis in axes) == golden["axis_of_each_of_64_freqs"]
    np.testing.assert_array_equal(rope_frequencies(RAW_ROPE, 128), np.array(golden["inv_freq_float32"], np.float32))
    positions = np.array(golden["position_ids_THW"])[:, None]
    table = make_rope(positions, config=RAW_ROPE, head_dim=128)
    assert relative_error(table.of_first[0, 0, :, 0], np.array(golden["cos_first64"])) <= TOLERANCE
    assert relative_error(table.of_first[0, 0, :, 1], np.array(golden["sin_first64"])) <= TOLERANCE


def golden_grids() -> list[dict[str, Any]]:
    return list(read_json("vision_positions.json")["cases"]) if GOLDEN.is_dir() else []


@pytest.mark.parametrize("case", golden_grids(), ids=lambda case: str(case["grid"]))
def test_position_table_is_interpolated_with_aligned_corners(case: dict[str, Any]) -> None:
    _, height, width = case["grid"]
    indexes, weights = position_taps(height, width, side=48, merge_size=1)  # merge size 1 is raster order
    count = len(case["idx_corner4_raster"][0])
    # 4.57 multiplies in another order, so a source position may fall on the other side of a whole number
    table = np.random.default_rng(0).standard_normal(48 * 48)
    found = (table[indexes[:, :count]] * weights[:, :count]).sum(0)
    expected = (table[np.array(case["idx_corner4_raster"])] * np.array(case["w_corner4_raster"])).sum(0)
    np.testing.assert_allclose(found, expected, atol=5e-5)  # floor: float32 spacing at 47 is 3.8e-6, times the table


@pytest.mark.parametrize("case", golden_grids(), ids=lambda case: str(case["grid"]))
def test_patches_are_in_merge_block_order(case: dict[str, Any]) -> None:
    _, height, width = case["grid"]
    rows, columns = patch_coordinates(height, width, 2)
    expected = np.array(case["rot_pos_rowcol"])
    assert np.array_equal(np.stack([rows, columns], axis=1)[: len(expected)], expected)
    order = np.array(case["merge_permutation"])
    assert np.array_equal((rows * width + columns)[: len(order)], order)
