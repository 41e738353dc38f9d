"""Parity cases as jobs of a loop: prompts whose media are the cases' own patches."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from edge.limits import EngineLimits
from edge.model.qwen3vl import Qwen3VL
from edge.prompt.build import Media, Prompt
from edge.run.loop import Loop
from tests.parity.cases import Case, Grid, Picture
from tests.unit.run.engines import bare_loop


@dataclass(frozen=True)
class PatchMedia:
    """What a loop needs of a picture or video."""

    picture: Picture

    label = summary = "patches"
    is_shrunk = False
    source_size = resized_size = (1, 1)

    @property
    def kind(self) -> str:
        return "video" if self.picture.is_video else "image"

    @property
    def patches(self) -> np.ndarray:
        return self.picture.patches

    @property
    def grid_thw(self) -> Grid:
        return self.picture.grid

    @property
    def num_tokens(self) -> int:
        return int(np.prod(self.picture.grid)) // 4

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.patches.tobytes() + repr(self.grid_thw).encode()).hexdigest()

    vision_digest = digest


def prompt_of(case: Case) -> Prompt:
    media = cast(tuple[Media, ...], tuple(PatchMedia(picture) for picture in case.media))
    return Prompt(text="", token_ids=case.token_ids, positions=case.positions, spans=case.spans, media=media)


def loop_of(model: Qwen3VL, **limits: Any) -> Loop:  # Any: fields of EngineLimits
    return bare_loop(model, EngineLimits(**limits))
