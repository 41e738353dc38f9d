"""Read an answer out of its tokens: thought, text and tool calls, end tokens, stop strings.

In: token ids one by one. Out: events. Pure host code: the model does not appear here.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from edge.events import ToolCall
from edge.text.detokenize import Detokenizer, TokenBytes
from edge.text.pieces import PieceEvent, PieceReader


class AnswerReader:
    """One answer as it is read.

    Attributes:
        reasoning_tokens: Tokens of the thought, those of `</think>` included.
        is_stopped: Whether an end token or a stop string ended the answer; later tokens are swallowed.
    """

    def __init__(
        self,
        tokenizer: TokenBytes,
        *,
        starts_in_reasoning: bool,
        stops: Sequence[str],
        end_token_ids: Collection[int],
        has_tools: bool,
    ) -> None:
        """Start reading.

        Args:
            tokenizer: Gives the bytes of a token.
            starts_in_reasoning: Whether the prompt has opened a thought.
            stops: Stop strings; they count in the text only, not in the thought or inside a call.
            end_token_ids: Tokens that end the answer and have no text.
            has_tools: Whether tools were declared; otherwise `<tool_call>` is text.
        """
        self._detokenizer = Detokenizer(tokenizer)
        self._pieces = PieceReader(starts_in_reasoning=starts_in_reasoning, stops=stops, has_tools=has_tools)
        self._end_token_ids = frozenset(end_token_ids)
        self._is_finished = False
        self.reasoning_tokens = 0
        self.is_stopped = False

    @property
    def is_reasoning(self) -> bool:
        """Whether the thought is still open."""
        return self._pieces.is_reasoning

    @property
    def stop(self) -> str | None:
        """The stop string that was found."""
        return self._pieces.stop

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The complete calls so far, in order; a void call leaves a gap in their indices."""
        return tuple(self._pieces.tool_calls)

    @property
    def num_calls(self) -> int:
        """How many calls are complete so far."""
        return len(self._pieces.tool_calls)

    @property
    def void_indices(self) -> tuple[int, ...]:
        """Indices of calls whose deltas were sent and which turned out to be broken, or were cut off."""
        return tuple(self._pieces.void_indices)

    def feed(self, token_id: int) -> list[PieceEvent]:
        """Take a token; `is_stopped` says afterwards whether it ended the answer."""
        if self.is_stopped:
            return []
        if token_id in self._end_token_ids:
            self.is_stopped = True
            return []
        self.reasoning_tokens += self.is_reasoning
        events = self._pieces.feed(self._detokenizer.feed(token_id))
        self.is_stopped = self.stop is not None
        return events

    def finish(self, *, is_cut: bool = False) -> list[PieceEvent]:
        """Return what was held back; a second call returns nothing.

        Args:
            is_cut: Whether something else than the model ended the answer, as for `PieceReader.finish`.
        """
        if self._is_finished:
            return []
        self._is_finished = True
        events = self._pieces.feed(self._detokenizer.finish()) + self._pieces.finish(
            is_cut=is_cut and not self.is_stopped
        )
        self.is_stopped = self.is_stopped or self.stop is not None
        return events
