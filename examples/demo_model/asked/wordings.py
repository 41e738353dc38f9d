"""Several wordings of one question: for training and testing, for training alone, and kept for testing.

In: a seeded `random.Random`. Out: the question's text. Training draws from a `Practice`: only then are the further
wordings used, and any manner of speaking; so held-out questions stay the same when training learns more wordings.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from .manner import spoken

T = TypeVar("T")
PLAIN = 0.35  # share of the wordings that are tested too, in training
TRIES = 4


class Practice(random.Random):
    """The source of chance of training."""


@dataclass(frozen=True, slots=True)
class Wordings:
    """Wordings with places for words in braces; training uses `seen` and `more`, tests use `seen` or `unseen`."""

    seen: tuple[str, ...]
    unseen: tuple[str, ...]
    more: tuple[str, ...] = ()

    def pick(self, rng: random.Random, *, unseen: bool = False, **words: str) -> str:
        """Choose a wording and fill its places."""
        return self.template(rng, unseen=unseen).format(**words)

    def template(self, rng: random.Random, *, unseen: bool = False) -> str:
        """Choose a wording."""
        if unseen:
            return rng.choice(self.unseen)
        if not isinstance(rng, Practice) or rng.random() < PLAIN:
            return rng.choice(self.seen)
        for _ in range(TRIES):
            text = spoken(rng, rng.choice(self.seen + self.more))
            if not self.holds_unseen(text):
                return text
        return rng.choice(self.seen)

    def holds_unseen(self, text: str) -> bool:
        """Tell whether a wording that is kept for testing stands in a text, whatever its case and its marks."""
        return any(bare(one) in bare(text) for one in self.unseen)


def bare(text: str) -> str:
    """Return a text as lower-case words with a space on either side."""
    return f" {' '.join(re.findall(r'[a-z0-9_{}]+', text.lower()))} "


def choice(rng: random.Random, usual: Sequence[T], more: Sequence[T]) -> T:
    """Choose from what held-out questions use; training chooses from more besides."""
    return rng.choice((*usual, *more) if isinstance(rng, Practice) else usual)
