"""A whole answer: what the events of one request join to.

In: events. Out: `Answer`. The same joining serves `Engine.answer`, its async form, and whoever shows events as they
come and wants the whole at the end.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edge.errors import AnswerError, RequestError
from edge.events import (
    CutCallEvent,
    Event,
    FinishEvent,
    FinishReason,
    MediaUse,
    NoteEvent,
    PromptEvent,
    ReasoningEvent,
    TextEvent,
    TokenEvent,
    ToolCall,
    ToolCallEvent,
    Usage,
)
from edge.records import dataclass

if TYPE_CHECKING:
    from edge.text.boxes import Box, Point


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    Attributes:
        text: The answer's text, without thought and tool calls.
        reasoning: The thought before it; empty without one.
        tool_calls: Calls the model asks for, in order.
        cut_call: A last call that a limit or a cancel cut off; its `arguments` are the beginning of a JSON text. It
            cannot be carried out, and is not among `tool_calls`.
        notes: Lines for the user, such as a call that could not be read.
        media: What became of each picture and video.
        tokens: Every generated token with its logprob, if token ids or logprobs were asked for.
        finish: How it ended.
    """

    text: str
    reasoning: str
    tool_calls: tuple[ToolCall, ...]
    cut_call: ToolCall | None
    notes: tuple[str, ...]
    media: tuple[MediaUse, ...]
    tokens: tuple[TokenEvent, ...]
    finish: FinishEvent

    @property
    def finish_reason(self) -> FinishReason:
        """Why the answer ended, in OpenAI's words ("stop", "length", "tool_calls"), or "cancelled"."""
        return self.finish.reason

    @property
    def usage(self) -> Usage:
        """Tokens, times and speeds."""
        return self.finish.usage

    @property
    def logprobs(self) -> tuple[TokenEvent, ...]:
        """The answer's tokens with their logprobs, those of the thought left out."""
        return tuple(token for token in self.tokens if not token.is_reasoning and token.logprob is not None)

    def json(self) -> Any:  # Any: JSON
        """Read the text as JSON, as it is under a request's `schema`.

        Raises:
            AnswerError: The answer was cut off before its JSON was whole, called tools instead, or is other text.
        """
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError) as error:
            advice = {
                "length": "Raise max_tokens, or bound the schema (maxItems, maxLength, additionalProperties: false).",
                "tool_calls": "Its calls are in tool_calls.",
                "stop": f"Ask with a schema ({error}).",
            }.get(self.finish_reason, "Ask again.")
            raise AnswerError(
                f"Expected whole JSON, found an answer that ended by {self.finish_reason!r} after "
                f"{self.usage.completion_tokens} tokens. {advice}"
            ) from None

    def message(self) -> dict[str, Any]:  # Any: JSON
        """Return the assistant's message of this answer, to go on with in the next request's messages."""
        from edge.text.tools import assistant_message

        return assistant_message(self.text, self.reasoning, self.tool_calls)

    def boxes(self, *, media_index: int = 0) -> list[Box]:
        """Read the boxes out of the text, in pixels of a picture as it was given.

        Args:
            media_index: Which of the request's pictures and videos the coordinates speak of.

        Raises:
            RequestError: There is no such picture.
        """
        from edge.text.boxes import parse_boxes

        height, width = self._source_size(media_index)
        return parse_boxes(self.text, width=width, height=height)

    def points(self, *, media_index: int = 0) -> list[Point]:
        """Read the points out of the text, as `boxes`."""
        from edge.text.boxes import parse_points

        height, width = self._source_size(media_index)
        return parse_points(self.text, width=width, height=height)

    def _source_size(self, media_index: int) -> tuple[int, int]:
        if not 0 <= media_index < len(self.media):
            raise RequestError(
                f"media_index: expected one of the request's {len(self.media)} pictures and videos, counted from 0, "
                f"found {media_index}.",
                field="media_index",
            )
        return self.media[media_index].source_size


class AnswerParts:
    """Collect the events of one request; `answer` once the last came."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: list[ToolCall] = []
        self._cut_call: ToolCall | None = None
        self._notes: list[str] = []
        self._tokens: list[TokenEvent] = []
        self._media: tuple[MediaUse, ...] = ()
        self._finish: FinishEvent | None = None

    def add(self, event: Event) -> None:
        """Take the next event."""
        match event:
            case TextEvent():
                self._text.append(event.text)
            case ReasoningEvent():
                self._reasoning.append(event.text)
            case ToolCallEvent():
                self._calls.append(event.call)
            case CutCallEvent():
                self._cut_call = event.call
            case NoteEvent():
                self._notes.append(event.text)
            case TokenEvent():
                self._tokens.append(event)
            case PromptEvent():
                self._media = event.media
            case FinishEvent():
                self._finish = event

    def answer(self) -> Answer:
        """Return the whole answer; the finish event must have come."""
        assert self._finish is not None, "the answer has not ended"
        return Answer(
            "".join(self._text),
            "".join(self._reasoning),
            tuple(self._calls),
            self._cut_call,
            tuple(self._notes),
            self._media,
            tuple(self._tokens),
            self._finish,
        )


def join_events(events: Sequence[Event]) -> Answer:
    """Join all events of one request."""
    parts = AnswerParts()
    for event in events:
        parts.add(event)
    return parts.answer()
