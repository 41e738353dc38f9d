"""Give every prompt token its three rotary positions.

In: the prompt's length and its visual spans. Out: (3, L) integers. A pure function: nothing is remembered anywhere.
Source: transformers@v5.23.0 models/qwen3_vl/modeling_qwen3_vl.py get_rope_index.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge.errors import PromptError
from edge.prompt.types import Indexes
from edge.records import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive visual tokens of a prompt: a whole image, or one temporal patch of a video.

    Attributes:
        start: Index of the first visual token in the prompt.
        length: Visual tokens.
        media_index: Which of the prompt's media.
        media_offset: The first visual token's index inside that media.
        grid: (time, height, width) in patches; time is 1.
    """

    start: int
    length: int
    media_index: int
    media_offset: int
    grid: tuple[int, int, int]

    @property
    def end(self) -> int:
        """Index after the last visual token."""
        return self.start + self.length


def make_positions(length: int, spans: Sequence[Span], *, merge_size: int) -> Indexes:
    """Build the three rotary positions of every prompt token.

    Args:
        length: Prompt tokens.
        spans: Visual spans, sorted, not overlapping.
        merge_size: Patches per visual token along one axis.

    Returns:
        Positions (3, L) int32 in the order time, height, width; text has three equal rows.

    Raises:
        PromptError: A span lies outside the prompt, overlaps another, or its length differs from its grid.
    """
    positions = np.empty((3, length), np.int32)
    token, position = 0, 0
    for span in spans:
        _check_span(span, first_free=token, length=length, merge_size=merge_size)
        rows, columns = span.grid[1] // merge_size, span.grid[2] // merge_size
        text = span.start - token
        positions[:, token : span.start] = np.arange(position, position + text)
        position += text
        grid = np.indices((span.grid[0], rows, columns), np.int32).reshape(3, -1)
        positions[:, span.start : span.end] = grid + position
        position += max(span.grid[0], rows, columns)
        token = span.end
    positions[:, token:] = np.arange(position, position + length - token)
    return positions


def _check_span(span: Span, *, first_free: int, length: int, merge_size: int) -> None:
    time, height, width = span.grid
    tokens = time * height * width // merge_size**2
    if span.length != tokens or min(span.grid) < 1 or height % merge_size or width % merge_size:
        raise PromptError(f"A visual span of {span.length} tokens does not fit its grid {span.grid} ({tokens} tokens).")
    if span.start < first_free or span.end > length:
        raise PromptError(
            f"A visual span at {span.start}..{span.end} overlaps another or lies outside the prompt's {length} tokens."
        )
