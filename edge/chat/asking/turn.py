"""What one request of a talk adds to it, and where."""

from __future__ import annotations

from edge.chat.asking.item import WaitingItem
from edge.chat.asking.request import Message
from edge.records import dataclass


@dataclass(frozen=True, slots=True)
class Turn:
    """One request of a talk: what it adds, and where.

    Attributes:
        new: Messages that it adds.
        keep: Messages before them; later ones are replaced.
        items: Pictures that wait again if it is refused.
        text: The question, for the line if it is refused; empty for none.
        is_kept: The new messages are results of tools: they stay, whatever becomes of the answer.
    """

    new: list[Message]
    keep: int
    items: list[WaitingItem]
    text: str
    is_kept: bool = False
