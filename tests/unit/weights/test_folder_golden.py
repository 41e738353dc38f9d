"""Tiny published-layout checkpoints with the logits that transformers 4.57.1 gives for them."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from edge.model.types import VisionOutput, VisualRows
from edge.weights.folder import LoadedModel, load_folder
from edge.weights.shards import SafetensorsFile
from tests.shared_facts import FACTS, needs_facts

pytestmark = needs_facts
GOLDEN = FACTS / "golden"
FOLDERS = ("tiny_moe_hub_layout", "tiny_moe_mlx_4bit")
LIMIT = 1e-5  # relative, fp32


def opened(name: str) -> tuple[LoadedModel, dict[str, mx.array]]:
    return load_folder(GOLDEN / name, dtype=mx.float32), golden_tensors(name)


def golden_tensors(name: str) -> dict[str, mx.array]:
    file = SafetensorsFile(GOLDEN / f"{name}_golden.safetensors")
    return {tensor: file.read(tensor) for tensor in file.tensors}


def relative_error(found: mx.array, expected: mx.array) -> float:
    assert found.shape == expected.shape
    return float(mx.linalg.norm((found - expected).flatten()) / mx.linalg.norm(expected.flatten()))


def encode(loaded: LoadedModel, golden: dict[str, mx.array]) -> VisionOutput:
    """Encode the golden picture and video together, in this order."""
    grids: list[tuple[int, int, int]] = []
    for name in ("image_grid_thw", "video_grid_thw"):
        frames, rows, columns = np.array(golden[name])[0].tolist()
        grids.append((frames, rows, columns))
    return loaded.model.encode_vision(mx.concatenate([golden["pixel_values"], golden["pixel_values_videos"]]), grids)


@pytest.mark.parametrize("name", FOLDERS)
def test_text_logits_equal_the_reference(name: str) -> None:
    loaded, golden = opened(name)
    length = golden["text_ids"].shape[1]
    positions = np.broadcast_to(np.arange(length, dtype=np.int32), (3, 1, length))
    logits = loaded.model(golden["text_ids"].astype(mx.int32), positions=positions)
    assert relative_error(logits, golden["text_logits"]) <= LIMIT


def test_vision_features_equal_the_reference() -> None:
    loaded, golden = opened("tiny_moe_hub_layout")
    output = encode(loaded, golden)
    num_rows = golden["image_embeds"].shape[0]
    assert relative_error(output.features[:num_rows], golden["image_embeds"]) <= LIMIT
    for level, features in enumerate(output.deepstack):
        assert relative_error(features[:num_rows], golden[f"deepstack_{level}"]) <= LIMIT


@pytest.mark.parametrize("name", FOLDERS)
def test_logits_of_a_prompt_with_picture_and_video_equal_the_reference(name: str) -> None:
    loaded, golden = opened(name)
    # Both files hold the same prompt; only the first keeps its positions.
    positions = np.array(golden_tensors(FOLDERS[0])["position_ids"])
    token_ids = np.array(golden["input_ids"])
    is_visual = np.isin(token_ids[0], (loaded.config.image_token_id, loaded.config.video_token_id))
    rows = mx.array(np.flatnonzero(is_visual).astype(np.int32))
    logits = loaded.model(
        mx.array(token_ids.astype(np.int32)),
        positions=positions.astype(np.int32),
        visual=VisualRows(rows, encode(loaded, golden)),
    )
    assert relative_error(logits, golden["logits"]) <= LIMIT
