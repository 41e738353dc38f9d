"""A prompt with one picture, from patches to its first token: how long it takes, and how much memory.

In: runners of models with a tower. Out: figures of each, by turns in one run. Reading and resizing a picture are not
in them: all get the same patches.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Protocol

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from edge.bench.figures import Figure, figure_of
from edge.bench.machine import GB
from edge.config import ModelConfig
from edge.model.types import Grid
from edge.records import dataclass

QUESTION_TOKENS = 24


@dataclass(frozen=True, slots=True, eq=False)
class PictureTurn:
    """A picture between its two marks, and a question behind it.

    Attributes:
        token_ids: (L,) int32.
        patches: (N, patch_values) float32.
        grid_thw: Frames, rows and columns in patches.
    """

    token_ids: NDArray[np.int32]
    patches: NDArray[np.float32]
    grid_thw: Grid


class SeeingRunner(Protocol):
    """A model with a tower."""

    name: str

    def start(self) -> None:
        """Forget everything."""
        ...

    def first_token(self, turn: PictureTurn) -> mx.array:
        """Return the best next token (1,) after a picture and its question, from an empty memory."""
        ...


def random_turn(config: ModelConfig, grid: Grid) -> PictureTurn:
    """Draw a picture and a question."""
    numbers = np.random.default_rng(1)
    num_patches = grid[0] * grid[1] * grid[2]
    least = min(config.image_token_id, config.video_token_id, config.vision_start_token_id, config.vision_end_token_id)
    question = numbers.integers(0, least, QUESTION_TOKENS)
    visual = np.full(num_patches // config.vision.merge_area, config.image_token_id)
    ids = np.concatenate([[config.vision_start_token_id], visual, [config.vision_end_token_id], question])
    patches = numbers.standard_normal((num_patches, config.vision.patch_values), dtype=np.float32)
    return PictureTurn(ids.astype(np.int32), patches, grid)


def turn_figures(runners: Sequence[SeeingRunner], turn: PictureTurn, *, repeats: int) -> Iterator[Figure]:
    """Measure the first token of a turn; how many times sooner the first runner has it than each of the others."""
    times: dict[str, list[float]] = {runner.name: [] for runner in runners}
    peak: dict[str, float] = {}
    for runner in runners:  # kernels are compiled at their first use
        mx.eval(runner.first_token(turn))
        runner.start()
    for number in range(repeats):
        for runner in runners if number % 2 == 0 else list(reversed(runners)):
            mx.clear_cache()
            before = mx.get_active_memory()
            mx.reset_peak_memory()
            started = time.perf_counter()
            mx.eval(runner.first_token(turn))
            times[runner.name].append(time.perf_counter() - started)
            peak[runner.name] = (mx.get_peak_memory() - before) / GB
            runner.start()
    tokens = len(turn.token_ids)
    for name, values in times.items():
        yield figure_of("picture first token", values, "s", of=name, tokens=tokens)
    (_, mine), *others = times.items()
    for name, other in others:
        yield figure_of(f"picture speed, to {name}", [b / a for a, b in zip(mine, other, strict=True)], "x")
    for name, value in peak.items():
        yield Figure("picture peak beside weights", value, "GB", {"of": name})
