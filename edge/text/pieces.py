"""Read the text of an answer: thought, then text with tool calls in it, until a stop string.

In: pieces of text. Out: events. Every cut of the text gives the same events when pieces of one kind are joined.

* What is inside a thought is thought: no stop string and no call counts there.
* A stop string counts in the text, not inside a call; where one begins with `<tool_call>`, the longer of the two wins.
  The stop string `</tool_call>` ends the answer after a call.
* Blank lines beside `</think>` and white space beside a call belong to nothing.
* A broken call gives one note, then its raw text as text, in which stop strings and further calls count. Where pieces
  of it were sent already, the note says that the call with this index is void; its index is not given again.
* A call that a limit or a cancel cuts off is no broken one: nothing of it is text. Its beginning is told as such, and a
  note says so.
"""

from __future__ import annotations

from collections.abc import Sequence

from edge.events import CutCallEvent, NoteEvent, ReasoningEvent, TextEvent, ToolCall, ToolCallDeltaEvent, ToolCallEvent
from edge.text.call import CALL_CLOSE, CALL_OPEN, CallReader
from edge.text.stops import TextSearch
from edge.text.thought import ThoughtReader

PieceEvent = ReasoningEvent | TextEvent | ToolCallDeltaEvent | ToolCallEvent | CutCallEvent | NoteEvent

BLANKS = " \t\r\n"


class PieceReader:
    """One answer's text as it is read.

    Attributes:
        stop: The stop string that was found; nothing is read after it.
        tool_calls: The complete calls so far.
        void_indices: Indices of broken and cut calls of which pieces were sent.
    """

    def __init__(self, *, starts_in_reasoning: bool, stops: Sequence[str], has_tools: bool) -> None:
        """Start reading.

        Args:
            starts_in_reasoning: Whether the prompt has opened a thought.
            stops: Stop strings, none of them empty.
            has_tools: Whether calls are read; otherwise `<tool_call>` is text.
        """
        self.stop: str | None = None
        self.tool_calls: list[ToolCall] = []
        self.void_indices: list[int] = []
        self._stops = tuple(stops)
        self._has_tools = has_tools
        self._thought = ThoughtReader() if starts_in_reasoning else None
        self._search = TextSearch([*self._stops, CALL_OPEN] if has_tools else self._stops)
        self._call: CallReader | None = None
        self._skips = ""  # characters that belong to nothing where the text goes on
        self._blanks = ""  # white space at the end of the text, which belongs to nothing if a call follows
        self._next_index = 0

    @property
    def is_reasoning(self) -> bool:
        """Whether the thought is still open."""
        return self._thought is not None

    def feed(self, text: str) -> list[PieceEvent]:
        """Take more text."""
        events: list[PieceEvent] = []
        while text and self.stop is None:
            if self._thought is not None:
                text = self._read_thought(self._thought, text, events)
            elif self._call is not None:
                deltas, text = self._call.feed(text)
                events += deltas
                text = self._after_call(self._call, text, events)
            else:
                text = self._read_text(text, events)
        return events

    def finish(self, *, is_cut: bool = False) -> list[PieceEvent]:
        """Return what was held back; a thought without an end is all thought, a call without one is text.

        Args:
            is_cut: Whether the model would have gone on: then a call without an end is told as cut off.
        """
        events: list[PieceEvent] = []
        if self._thought is not None:
            return [ReasoningEvent(rest)] if (rest := self._thought.finish()) else []
        while self.stop is None:
            if self._call is not None:
                self._call.finish(is_cut=is_cut)
                events += self.feed(self._after_call(self._call, "", events))
                continue
            passed, found, rest = self._search.finish()
            self._pass_text(passed, events)
            if found is None:
                break
            self._found(found)
            events += self.feed(rest)
        self._flush_blanks(events)
        return events

    def _read_thought(self, thought: ThoughtReader, text: str, events: list[PieceEvent]) -> str:
        piece, rest = thought.feed(text)
        if piece:
            events.append(ReasoningEvent(piece))
        if rest is not None:
            self._thought, self._skips = None, "\n"
        return rest or ""

    def _read_text(self, text: str, events: list[PieceEvent]) -> str:
        if self._skips:
            text = text.lstrip(self._skips)
            if not text:
                return ""
            self._skips = ""
        passed, found, rest = self._search.feed(text)
        self._pass_text(passed, events)
        if found is not None:
            self._found(found)
        return rest

    def _found(self, pattern: str) -> None:
        if pattern in self._stops:
            self.stop = pattern
        else:
            self._call = CallReader(self._next_index)

    def _after_call(self, call: CallReader, rest: str, events: list[PieceEvent]) -> str:
        """Take up the text again after a call that has ended; return what must be read next."""
        if call.status == "open":
            return rest
        self._call = None
        if call.status == "complete":
            self.tool_calls.append(call.call)
            events.append(ToolCallEvent(call.call))
            self._next_index, self._skips, self._blanks = call.index + 1, BLANKS, ""
            if call.is_closed_by_tag and CALL_CLOSE in self._stops:
                self.stop = CALL_CLOSE
            return rest
        if call.status == "cut":
            self._blanks = ""
            self._tell_cut(call, events)
            return rest
        which = "A tool call"
        if call.is_announced:
            self.void_indices.append(call.index)
            self._next_index = call.index + 1
            which = f"Tool call {call.index} is void: it"
        events.append(NoteEvent(f"{which} could not be read, because {call.reason}. It stands in the text as written."))
        self._search.pass_over(CALL_OPEN)
        return CALL_OPEN + call.raw + rest

    def _tell_cut(self, call: CallReader, events: list[PieceEvent]) -> None:
        """Give what came of a call that was cut off; one without a name is a note alone."""
        if call.is_announced:
            self.void_indices.append(call.index)
            events.append(CutCallEvent(call.cut_call))
            events.append(NoteEvent(f"Tool call {call.index} is void: the answer was cut off inside it."))
        else:
            events.append(NoteEvent("The answer was cut off inside a tool call whose name was not written yet."))

    def _pass_text(self, text: str, events: list[PieceEvent]) -> None:
        if self._has_tools:
            text = self._blanks + text
            body = text.rstrip(BLANKS)
            self._blanks = text[len(body) :]
            text = body
        if text:
            events.append(TextEvent(text))

    def _flush_blanks(self, events: list[PieceEvent]) -> None:
        if self._blanks:
            events.append(TextEvent(self._blanks))
            self._blanks = ""
