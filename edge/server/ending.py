"""Say how an answer ended in the three words that every protocol has, and what its reader should be told beside it.

In: events. Out: a word, and lines of text: hints about the prompt, pictures that a limit made smaller, notes such as a
call that could not be read. Protocols have no field for such lines; each sends them as `warnings`, a list of texts
beside the counts, and leaves it out when there is nothing to say. Clients ignore what they do not know.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from edge.events import Event, FinishEvent, NoteEvent, PromptEvent
from edge.server.errors import ApiError

Ending = Literal["stop", "length", "tool_calls"]


def ending_of(finish: FinishEvent) -> Ending:
    """Name the end of an answer; one that ran in a circle was cut off, as by a limit.

    Raises:
        ApiError: It was cancelled: half an answer is not called a whole one.
    """
    if finish.reason == "cancelled":
        raise ApiError("overloaded", "The answer was cancelled; the server is stopping.", code="cancelled")
    return "length" if finish.reason == "repetition" else finish.reason


class Warnings:
    """The lines for the reader of one request, each once, as its events come."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        """Begin, with events that came already."""
        self._lines: list[str] = []
        for event in events:
            self.add(event)

    def add(self, event: Event) -> None:
        """Take the next event."""
        said: list[str] = []
        if isinstance(event, PromptEvent):
            said = [*event.hints, *(use.summary for use in event.media if use.is_shrunk)]
        elif isinstance(event, NoteEvent):
            said = [event.text]
        self._lines += [line for line in said if line not in self._lines]

    @property
    def body(self) -> dict[str, list[str]]:
        """The field to send; nothing when there is nothing to say."""
        return {"warnings": list(self._lines)} if self._lines else {}
