"""Backgrounds of every tone, and colours that stand out from them.

In: a seeded `random.Random`. Out: background colours, and a colour name with its RGB that can be told from one.
"""

from __future__ import annotations

import random

Rgb = tuple[int, int, int]
WHITE = "white"
WHITE_RGB = (250, 250, 250)
LEAST_CONTRAST = 150  # sum of the distances of the three channels


def random_backdrop(rng: random.Random) -> Rgb:
    """Draw a white, grey, black, light or dark tinted background."""
    way = rng.random()
    if way < 0.15:
        return 255, 255, 255
    if way < 0.45:
        level = rng.randint(60, 250)
        return level, level, level
    if way < 0.6:
        level = rng.randint(0, 40)
        return level, level, level
    low, high = (150, 255) if way < 0.85 else (0, 110)
    return rng.randint(low, high), rng.randint(low, high), rng.randint(low, high)


def distance(one: Rgb, other: Rgb) -> int:
    """Return the sum of the channels' distances."""
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))


def readable(colours: dict[str, Rgb], backdrop: Rgb, *, least: int = LEAST_CONTRAST) -> dict[str, Rgb]:
    """Return the colours that stand out from a background; white is added on dark ones."""
    known = dict(colours)
    if sum(backdrop) < 420:
        known[WHITE] = WHITE_RGB
    return {name: rgb for name, rgb in known.items() if distance(rgb, backdrop) >= least}
