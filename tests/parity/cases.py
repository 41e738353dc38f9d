"""Prompts for parity tests, by hand: token ids, media, and what the reference and our model say to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mlx.core as mx
import numpy as np
import torch

from edge.kv.layer import RowMemory
from edge.model.qwen3vl import Qwen3VL
from edge.model.types import VisionOutput, VisualRows
from edge.prompt.positions import Span, make_positions
from edge.run.forward import visual_rows
from tests.parity.reference import (
    IMAGE,
    MERGE_SIZE,
    PATCH_VALUES,
    VIDEO,
    VISION_END,
    VISION_START,
    TorchModel,
)

Grid = tuple[int, int, int]


@dataclass(frozen=True)
class Picture:
    """A picture or video (t > 1) of random patches."""

    grid: Grid
    seed: int

    @property
    def patches(self) -> np.ndarray:
        values = np.random.default_rng(self.seed).standard_normal((int(np.prod(self.grid)), PATCH_VALUES))
        return values.astype(np.float32)

    @property
    def is_video(self) -> bool:
        return self.grid[0] > 1


Part = int | Picture
"""A number of random text tokens, or media."""


@dataclass(frozen=True)
class Case:
    """A prompt: ids (L,), spans, media in order, positions (3, L)."""

    token_ids: np.ndarray
    spans: tuple[Span, ...]
    media: tuple[Picture, ...]

    @property
    def length(self) -> int:
        return len(self.token_ids)

    @property
    def positions(self) -> np.ndarray:
        return make_positions(self.length, self.spans, merge_size=MERGE_SIZE)

    @property
    def visual_columns(self) -> np.ndarray:
        return np.flatnonzero(np.isin(self.token_ids, (IMAGE, VIDEO)))


def make_case(*parts: Part, seed: int = 0) -> Case:
    """Build a prompt; every frame of a video gets its own wrapper, with two text tokens (a time stamp) before it."""
    random = np.random.default_rng(seed)
    ids: list[int] = []
    spans: list[Span] = []
    media: list[Picture] = []
    for part in parts:
        if isinstance(part, int):
            ids += random.integers(0, IMAGE, part).tolist()
            continue
        frames, height, width = part.grid
        count = height * width // MERGE_SIZE**2
        for frame in range(frames):
            if part.is_video:
                ids += random.integers(0, IMAGE, 2).tolist()
            start = len(ids) + 1
            spans.append(Span(start, count, len(media), frame * count, (1, height, width)))
            ids += [VISION_START, *[VIDEO if part.is_video else IMAGE] * count, VISION_END]
        media.append(part)
    return Case(np.array(ids, dtype=np.int32), tuple(spans), tuple(media))


def reference_inputs(case: Case) -> dict[str, torch.Tensor]:
    """Return keyword arguments of the reference's forward."""
    ids = torch.tensor(case.token_ids[None], dtype=torch.long)
    inputs = {"input_ids": ids, "mm_token_type_ids": ((ids == IMAGE) * 1 + (ids == VIDEO) * 2).int()}
    for name, grid_name, is_video in (
        ("pixel_values", "image_grid_thw", False),
        ("pixel_values_videos", "video_grid_thw", True),
    ):
        own = [picture for picture in case.media if picture.is_video == is_video]
        if own:
            inputs[name] = torch.tensor(np.concatenate([picture.patches for picture in own]))
            inputs[grid_name] = torch.tensor([picture.grid for picture in own])
    return inputs


def reference_logits(model: TorchModel, case: Case) -> torch.Tensor:
    """Run the reference on a whole prompt, (1, L, V)."""
    model.model.rope_deltas = None
    with torch.no_grad():
        logits: torch.Tensor = model(**reference_inputs(case)).logits
    return logits


def encode(model: Qwen3VL, media: Sequence[Picture]) -> dict[int, VisionOutput]:
    """Run our tower on each media alone, as the engine does."""
    return {
        index: model.encode_vision(mx.array(picture.patches), [picture.grid]) for index, picture in enumerate(media)
    }


def forward(
    model: Qwen3VL,
    case: Case,
    *,
    outputs: dict[int, VisionOutput] | None = None,
    memory: RowMemory | None = None,
    start: int = 0,
    stop: int | None = None,
    last_only: bool = False,
) -> mx.array:
    """Run our model on tokens start..stop of a prompt."""
    stop = case.length if stop is None else stop
    outputs = encode(model, case.media) if outputs is None else outputs
    return model(
        mx.array(case.token_ids[None, start:stop]),
        positions=case.positions[:, None, start:stop],
        memory=None if memory is None else [memory],
        visual=visual_rows(case.spans, outputs, start=start, stop=stop),
        last_only=last_only,
    )


def forward_rows(
    model: Qwen3VL,
    cases: Sequence[Case],
    *,
    outputs: Sequence[dict[int, VisionOutput]],
    memory: Sequence[RowMemory],
    starts: Sequence[int],
    length: int,
) -> mx.array:
    """Run `length` tokens of several prompts at once, each from its own start on its own memory."""
    parts = [(case, start, start + length) for case, start in zip(cases, starts, strict=True)]
    rows = [
        visual_rows(case.spans, own, start=start, stop=stop)
        for (case, start, stop), own in zip(parts, outputs, strict=True)
    ]
    seen = [(index, row) for index, row in enumerate(rows) if row is not None]
    visual = None
    if seen:
        flat = [row.row_indexes + index * length for index, row in seen]
        levels = zip(*(row.output.deepstack for _, row in seen), strict=True)
        output = VisionOutput(
            mx.concatenate([row.output.features for _, row in seen]),
            tuple(mx.concatenate(list(level)) for level in levels),
        )
        visual = VisualRows(mx.concatenate(flat), output)
    return model(
        mx.array(np.stack([case.token_ids[start:stop] for case, start, stop in parts])),
        positions=np.stack([case.positions[:, start:stop] for case, start, stop in parts], axis=1),
        memory=memory,
        visual=visual,
    )
