"""Read texts in pieces and join what comes out, for tests of streams."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from edge.events import CutCallEvent, NoteEvent, ReasoningEvent, TextEvent, ToolCallDeltaEvent, ToolCallEvent
from edge.text.pieces import PieceEvent, PieceReader


class BytesAsTokens:
    """A token id is a byte; ids from 256 on are special tokens."""

    def token_bytes(self, token_id: int) -> bytes:
        return bytes([token_id]) if token_id < 256 else b"<|special|>"

    def is_special(self, token_id: int) -> bool:
        return token_id >= 256


@dataclass
class Joined:
    """Everything that came out of one answer, ids of calls left out since each run makes its own."""

    thought: str = ""
    text: str = ""
    calls: list[tuple[int, str, str]] = field(default_factory=list)
    deltas: dict[int, tuple[str, str]] = field(default_factory=dict)
    cut: tuple[int, str, str] | None = None
    notes: list[str] = field(default_factory=list)
    order: str = ""  # kinds in order of appearance, equal neighbours once


def join(events: Iterable[PieceEvent]) -> Joined:
    joined, ids = Joined(), dict[int, str]()
    for event in events:
        if isinstance(event, ReasoningEvent):
            joined.thought += event.text
        elif isinstance(event, TextEvent):
            joined.text += event.text
        elif isinstance(event, NoteEvent):
            joined.notes.append(event.text)
        elif isinstance(event, ToolCallDeltaEvent):
            name, arguments = joined.deltas.get(event.index, ("", ""))
            assert (event.id, event.name) == ("", "") or event.index not in ids
            ids.setdefault(event.index, event.id)
            joined.deltas[event.index] = (name + event.name, arguments + event.arguments)
        elif isinstance(event, ToolCallEvent):
            assert ids[event.call.index] == event.call.id
            joined.calls.append((event.call.index, event.call.name, event.call.arguments))
        elif isinstance(event, CutCallEvent):
            assert (joined.cut, ids[event.call.index]) == (None, event.call.id)
            joined.cut = (event.call.index, event.call.name, event.call.arguments)
        kind = {ReasoningEvent: "r", TextEvent: "t", NoteEvent: "n", ToolCallDeltaEvent: "d", ToolCallEvent: "c"}
        kind[CutCallEvent] = "x"
        if not joined.order.endswith(kind[type(event)]):
            joined.order += kind[type(event)]
        assert not isinstance(event, ReasoningEvent | TextEvent) or event.text
    for index, name, arguments in [*joined.calls, *([joined.cut] if joined.cut else [])]:
        assert joined.deltas[index] == (name, arguments)
    return joined


def read(
    pieces: Sequence[str],
    *,
    thinking: bool = False,
    stops: Sequence[str] = (),
    tools: bool = True,
    is_cut: bool = False,
) -> tuple[Joined, str | None]:
    """Read a text that comes in these pieces; return what came out and the stop string."""
    reader = PieceReader(starts_in_reasoning=thinking, stops=stops, has_tools=tools)
    events = [event for piece in pieces for event in reader.feed(piece)] + reader.finish(is_cut=is_cut)
    joined = join(events)
    assert [call.index for call in reader.tool_calls] == [index for index, _, _ in joined.calls]
    assert reader.void_indices == sorted(set(joined.deltas) - {index for index, _, _ in joined.calls})
    return joined, reader.stop


def read_in_every_split(
    text: str, *, thinking: bool = False, stops: Sequence[str] = (), tools: bool = True, is_cut: bool = False
) -> tuple[Joined, str | None]:
    """Read a text whole, in every two pieces, and by character; all must give the same."""
    read_so = partial(read, thinking=thinking, stops=stops, tools=tools, is_cut=is_cut)
    whole = read_so([text])
    for cut in range(1, len(text)):
        assert read_so([text[:cut], text[cut:]]) == whole, cut
    assert read_so(list(text)) == whole
    return whole
