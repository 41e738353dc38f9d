"""A prompt that is unlike the demo's own questions: prose or code, with or without a picture before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from PIL import Image


@dataclass(frozen=True, slots=True)
class Unlike:
    """A question and its answer.

    Attributes:
        name: Of the prompt.
        kind: What it is written in.
        question: What the user asks.
        answer: What follows.
        draw: Makes the pictures before the question.
    """

    name: str
    kind: Literal["prose", "code"]
    question: str
    answer: str
    draw: Callable[[], tuple[Image.Image, ...]] | None = None

    def pictures(self) -> tuple[Image.Image, ...]:
        """Draw the pictures."""
        return () if self.draw is None else self.draw()
