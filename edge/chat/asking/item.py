"""One picture or video that goes with a question."""

from __future__ import annotations

from typing import Literal

from edge.chat.asking.looking import Source
from edge.records import dataclass


@dataclass(frozen=True, slots=True)
class WaitingItem:
    """A picture or video for the next question.

    Attributes:
        kind: Which of the two.
        name: What the user calls it.
        source: Where it is.
        detail: Its size, for a line.
    """

    kind: Literal["image", "video"]
    name: str
    source: Source
    detail: str

    @property
    def line(self) -> str:
        """Say what it is."""
        return f"{self.name}, {self.detail}"
