"""One row of a batch: a prefix, what is seen in it, and an endless source of questions about it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from . import clips
from .clips import Clip
from .pictures import Seen
from .prompt_text import VIDEO_PART
from .scenes import Scene
from .tasks import Question

Mix = dict[str, float]


@dataclass(slots=True)
class Row:
    """A prefix text, what is seen in it (two frames and the scene of each unit), and an endless source of questions."""

    prefix: str
    seen: list[Seen]
    questions: Iterator[tuple[str, Question]]


def clip_prefix(rng: random.Random | None, clip: Clip, draw: Callable[[Scene], np.ndarray]) -> tuple[str, list[Seen]]:
    """Write a clip's part of the prompt and draw its frames, two for each temporal patch."""
    times = clips.clip_times(rng, clip)
    drawn = {second: draw(view) for second, view in enumerate(clip.views)}
    text, seen = "", []
    for first, second in zip(times[::2], times[1::2], strict=True):
        shown = [clip.second_of(time) for time in (first, second)]
        seen.append(((drawn[shown[0]], drawn[shown[1]]), clip.views[shown[1]]))
        text += f"<{(first + second) / 2:.1f} seconds>" + VIDEO_PART
    return text, seen
