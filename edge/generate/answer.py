"""Read an answer out of its tokens: thought and text, end tokens, stop strings, the thinking budget.

In: token ids one by one. Out: text and reasoning events. Pure host code: the model does not appear here.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from edge.events import ReasoningEvent, TextEvent
from edge.generate.stream import Detokenizer, StopStrings, TokenBytes
from edge.parse.reasoning import ReasoningParser

TextEvents = list[TextEvent | ReasoningEvent]


class AnswerReader:
    """One answer as it is read. Stop strings count in the answer only: one inside a thought would leave no answer."""

    def __init__(
        self, tokenizer: TokenBytes, *, starts_in_reasoning: bool, stops: Sequence[str], end_token_ids: Collection[int]
    ) -> None:
        """Start reading; `starts_in_reasoning` says whether the prompt has opened a thought."""
        self._detokenizer = Detokenizer(tokenizer)
        self._parser = ReasoningParser(starts_in_reasoning=starts_in_reasoning)
        self._stops = StopStrings(stops)
        self._end_token_ids = frozenset(end_token_ids)
        self.reasoning_tokens = 0
        self.is_stopped = False

    @property
    def is_reasoning(self) -> bool:
        """Whether the thought is still open."""
        return self._parser.is_reasoning

    @property
    def stop(self) -> str | None:
        """The stop string that was found."""
        return self._stops.found

    def feed(self, token_id: int) -> TextEvents:
        """Take a token; `is_stopped` says afterwards whether it ended the answer."""
        if token_id in self._end_token_ids:
            self.is_stopped = True
            return []
        self.reasoning_tokens += self._parser.is_reasoning
        return self._read(self._detokenizer.feed(token_id))

    def finish(self) -> TextEvents:
        """Return what was held back."""
        events = self._read(self._detokenizer.finish())
        events += self._events(self._parser.finish())
        rest = self._stops.finish()
        self.is_stopped = self.is_stopped or self.stop is not None
        return events + ([TextEvent(rest)] if rest else [])

    def _read(self, text: str) -> TextEvents:
        return self._events(self._parser.feed(text)) if text else []

    def _events(self, pieces: Sequence[tuple[bool, str]]) -> TextEvents:
        events: TextEvents = []
        for is_reasoning, piece in pieces:
            if is_reasoning:
                events.append(ReasoningEvent(piece))
            elif passed := self._stops.feed(piece):
                events.append(TextEvent(passed))
        self.is_stopped = self.is_stopped or self.stop is not None
        return events


class ThinkingBudget:
    """Close a thought that has used up its tokens, so that an answer still comes (PEERS 23, 24)."""

    def __init__(self, budget_tokens: int | None, *, closing_token_ids: Sequence[int]) -> None:
        """Set a budget; None never closes.

        Args:
            budget_tokens: Tokens the thought may have.
            closing_token_ids: What ends a thought: the tokens of `</think>` and a blank line.
        """
        self._budget_tokens = budget_tokens
        self._closing = list(closing_token_ids)
        self._next_index: int | None = None

    def next_forced(self, reader: AnswerReader) -> int | None:
        """Return the token that must come next, or None to let the model choose.

        A thought the model has closed itself is left alone.
        """
        if self._next_index is None:
            if self._budget_tokens is None or not reader.is_reasoning:
                return None
            if reader.reasoning_tokens < self._budget_tokens:
                return None
            self._next_index = 0
        if self._next_index >= len(self._closing):
            return None
        self._next_index += 1
        return self._closing[self._next_index - 1]
