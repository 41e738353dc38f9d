"""Several wordings of one question, some of them for training and some kept for testing.

In: a seeded `random.Random`. Out: the question's text.
"""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wordings:
    """Wordings with places for words in braces; training uses `seen` alone."""

    seen: tuple[str, ...]
    unseen: tuple[str, ...]

    def pick(self, rng: random.Random, *, unseen: bool = False, **words: str) -> str:
        """Choose a wording and fill its places."""
        return rng.choice(self.unseen if unseen else self.seen).format(**words)
