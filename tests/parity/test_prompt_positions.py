"""Compare positions with transformers' `get_rope_index` on random mixes of text, pictures and videos."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from edge.prompt.positions import Span, make_positions

IMAGE, VIDEO = 151655, 151656


def random_prompt(seed: int) -> tuple[list[int], list[int], list[Span], list[list[int]], list[list[int]]]:
    """Make ids, token types, spans, image grids and video grids."""
    generator = np.random.default_rng(seed)
    ids: list[int] = []
    types: list[int] = []
    spans: list[Span] = []
    images: list[list[int]] = []
    videos: list[list[int]] = []

    def text(least: int) -> None:
        length = int(generator.integers(least, 7))
        ids.extend(int(token) for token in generator.integers(0, 1000, length))
        types.extend([0] * length)

    for media_index in range(int(generator.integers(0, 6))):
        text(1)
        is_video = bool(generator.integers(2))
        times, height, width = int(generator.integers(1, 4)), *(2 * int(side) for side in generator.integers(1, 6, 2))
        times = times if is_video else 1
        (videos if is_video else images).append([times, height, width])
        length = height * width // 4
        for time in range(times):
            if time:
                text(1)
            spans.append(Span(len(ids), length, media_index, time * length, (1, height, width)))
            ids.extend([VIDEO if is_video else IMAGE] * length)
            types.extend([2 if is_video else 1] * length)
    text(1)
    return ids, types, spans, images, videos


def reference_positions(ids: list[int], types: list[int], images: list[list[int]], videos: list[list[int]]) -> Any:
    from transformers.models.qwen3_vl import modeling_qwen3_vl

    reference: Any = modeling_qwen3_vl.Qwen3VLModel  # Any: called with a stand-in for a whole model

    config = SimpleNamespace(
        vision_config=SimpleNamespace(spatial_merge_size=2), image_token_id=IMAGE, video_token_id=VIDEO
    )
    model = SimpleNamespace(config=config)
    model.get_vision_position_ids = lambda *args, **kwargs: reference.get_vision_position_ids(model, *args, **kwargs)
    tokens = torch.tensor([ids])
    positions, deltas = reference.get_rope_index(
        model,
        tokens,
        torch.tensor([types], dtype=torch.int32),
        image_grid_thw=torch.tensor(images) if images else None,
        video_grid_thw=torch.tensor(videos) if videos else None,
        attention_mask=torch.ones_like(tokens),
    )
    return positions[:, 0].numpy(), int(deltas[0])


@pytest.mark.parametrize("seed", range(40))
def test_positions_equal_the_reference_on_any_mix(seed: int) -> None:
    ids, types, spans, images, videos = random_prompt(seed)
    expected, delta = reference_positions(ids, types, images, videos)
    ours = make_positions(len(ids), spans, merge_size=2)
    assert np.array_equal(ours, expected)
    assert int(ours.max()) + 1 - len(ids) == delta
