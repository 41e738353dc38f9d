"""Run the vision tower over one picture or video in slices of bounded time.

In: media. Out: its `VisionOutput` after some slices. Between two slices the loop hears a cancel, tells progress and
lets other rows decode; a slice is as many blocks of the tower as fit into a fraction of a second, at least one.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from typing import Protocol

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from edge.model.types import Grid, VisionOutput

SLICE_S = 0.1
"""A slice longer than this would be felt as a pause in the other rows' answers."""


class VisionModel(Protocol):
    """What seeing needs from `edge.model.qwen3vl.Qwen3VL`."""

    def vision_steps(self, patches: mx.array, grids: Sequence[Grid]) -> Generator[mx.array, None, VisionOutput]:
        """Yield the unevaluated hidden state after each block, and return the output."""
        ...


class Visible(Protocol):
    """What is seen: `edge.prompt.build.Media`, a picture or video."""

    @property
    def patches(self) -> NDArray[np.float32]:
        """Flat patches, (N, patch_values)."""
        ...

    @property
    def grid_thw(self) -> Grid:
        """Patches in time, height and width."""
        ...


class Seeing:
    """The tower at work on one picture or video; `advance` until it gives the output."""

    def __init__(self, model: VisionModel, media: Visible, *, num_blocks: int) -> None:
        """Start; nothing is computed yet.

        Args:
            model: Has the tower.
            media: What to look at.
            num_blocks: Blocks of the tower, the total of the progress.
        """
        self.num_blocks = num_blocks
        self.num_done = 0
        self._blocks_per_slice = 1
        self._steps = model.vision_steps(mx.array(media.patches), [media.grid_thw])

    def advance(self) -> VisionOutput | None:
        """Run one slice; return the evaluated output after the last."""
        started = time.perf_counter()
        hidden: mx.array | None = None
        for _ in range(self._blocks_per_slice):
            try:
                hidden = next(self._steps)
            except StopIteration as end:
                output: VisionOutput = end.value
                mx.eval(output.features, *output.deepstack)
                mx.clear_cache()
                return output
            self.num_done += 1
        mx.eval(hidden)
        block_s = (time.perf_counter() - started) / self._blocks_per_slice
        self._blocks_per_slice = max(1, min(self.num_blocks, int(SLICE_S / max(block_s, 1e-6))))
        return None
