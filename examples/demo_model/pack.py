"""Pack scenes and questions into training batches: prefixes, lanes behind them, positions, labels, vision targets.

In: a batch kind and a seeded `random.Random`. Out: `Batch`, numpy only, so that a worker process can make it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from tokenizers import Tokenizer

from .looks.canvas import PATCH_PX, SQUARE, Grid
from .pictures import class_targets, digit_targets
from .row import Row
from .rows import LANE_TOKENS, LANES, OWN_GRIDS, ROWS


@dataclass(slots=True)
class Batch:
    """Arrays of one microbatch; B rows, P prefix tokens, K lanes, L lane tokens, N vision units."""

    kind: str
    prefix_ids: np.ndarray  # (B, P)
    prefix_pos: np.ndarray  # (3, B, P)
    prefix_len: np.ndarray  # (B,)
    lane_ids: np.ndarray  # (B, K, L)
    lane_pos: np.ndarray  # (B, K, L)
    lane_seg: np.ndarray  # (B, K, L), question number, -1 for padding
    labels: np.ndarray  # (B, K, L), id of the next token or -100
    frames: np.ndarray  # (N, 1 or 2, height, width, 3) uint8; a picture's two frames are the same
    classes: np.ndarray  # (N, 3, patches): glyph or shape, colour, index in reading order
    digits: np.ndarray  # (N, tokens, 8): hundreds and tens of the four box sides, -1 where no thing is centred
    grid: Grid = SQUARE  # rows and columns of patches of every picture
    tasks: list[str] = field(default_factory=list)  # by question number


class Packer:
    """Makes batches with one tokenizer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._encode = lru_cache(maxsize=100_000)(lambda text: tuple(tokenizer.encode(text).ids))
        self._image_pads = set(tokenizer.encode("<|image_pad|><|video_pad|>").ids)

    def batch(
        self, kind: str, rng: random.Random, *, rows: int, noise: float, mix: dict[str, float], lanes: int | None = None
    ) -> Batch:
        """Make one microbatch.

        Args:
            kind: Key of `LANES`.
            rng: Source of chance.
            rows: Number of prefixes.
            noise: Chance that a picture is disturbed.
            mix: Weights of the questions about shapes.
            lanes: Lanes behind each prefix, by default those of `LANES`; 0 for a batch of pictures alone.
        """
        grid = rng.choice(OWN_GRIDS.get(kind, (SQUARE,)))
        made = [ROWS[kind](rng, noise, mix, grid) for _ in range(rows)]
        prefixes = [self._encode(row.prefix) for row in made]
        longest = max(map(len, prefixes))
        longest += -longest % (8 if longest <= 48 else 32)  # few shapes: each new one costs time
        lanes = LANES[kind] if lanes is None else lanes
        prefix_ids = np.zeros((rows, longest), np.int64)
        prefix_pos = np.zeros((3, rows, longest), np.int64)
        shape = (rows, lanes, LANE_TOKENS[kind])
        patches, tokens, size_px = grid[0] * grid[1], grid[0] * grid[1] // 4, (grid[0] * PATCH_PX, grid[1] * PATCH_PX)
        frames = [pair for row in made for pair, _ in row.seen]
        if all(first is second for first, second in frames):
            frames = [pair[:1] for pair in frames]
        out = Batch(
            kind, prefix_ids, prefix_pos, np.array([len(ids) for ids in prefixes]), np.zeros(shape, np.int64),
            np.zeros(shape, np.int64), np.full(shape, -1, np.int64), np.full(shape, -100, np.int64),
            np.array(frames, np.uint8).reshape(-1, len(frames[0]) if frames else 1, *size_px, 3),
            np.array([class_targets(scene, grid) for row in made for _, scene in row.seen]).reshape(-1, 3, patches),
            np.array([digit_targets(scene, grid) for row in made for _, scene in row.seen]).reshape(-1, tokens, 8),
            grid,
        )  # fmt: skip
        for index, row in enumerate(made):
            ids = prefixes[index]
            prefix_ids[index, : len(ids)] = ids
            positions = prefix_positions(ids, self._image_pads, grid)
            prefix_pos[:, index, : len(ids)] = positions
            self._fill_lanes(out, index, row, int(positions.max()) + 1)
        return out

    def _fill_lanes(self, out: Batch, index: int, row: Row, start: int) -> None:
        waiting: tuple[tuple[int, ...], tuple[int, ...], str] | None = None
        for lane in range(out.lane_ids.shape[1]):
            used, tries = 0, 0
            while tries < 3:
                if waiting is None:
                    context, question = next(row.questions)
                    waiting = (self._encode(context), self._encode(question.target()), question.kind)
                before, after, kind = waiting
                size = len(before) + len(after)
                if size > LANE_TOKENS[out.kind] - used:
                    tries += 1
                    if used == 0 or tries < 3:
                        waiting = None
                    continue
                span = slice(used, used + size)
                out.lane_ids[index, lane, span] = before + after
                out.lane_pos[index, lane, span] = start + np.arange(size)
                out.lane_seg[index, lane, span] = len(out.tasks)
                out.labels[index, lane, used + len(before) - 1 : used + size - 1] = after
                out.tasks.append(kind)
                used, waiting = used + size, None


def prefix_positions(ids: tuple[int, ...], pads: set[int], grid: Grid = SQUARE) -> np.ndarray:
    """Return positions (3, P): each run of visual tokens is a grid of half the patches' rows and columns."""
    positions, now, index = np.zeros((3, len(ids)), np.int64), 0, 0
    rows, cols = grid[0] // 2, grid[1] // 2
    places = np.arange(rows * cols)
    places = np.stack((0 * places, places // cols, places % cols))
    while index < len(ids):
        if ids[index] in pads:
            positions[:, index : index + rows * cols] = now + places
            now, index = now + max(rows, cols), index + rows * cols
        else:
            positions[:, index] = now
            now, index = now + 1, index + 1
    return positions
