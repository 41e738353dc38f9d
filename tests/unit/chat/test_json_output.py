from __future__ import annotations

import io
import json

from edge.chat.json_output import event_json, write_json
from edge.events import (
    Event,
    FinishEvent,
    NoteEvent,
    ProgressEvent,
    PromptEvent,
    ReasoningEvent,
    TextEvent,
    TokenEvent,
    ToolCall,
    ToolCallEvent,
)
from tests.unit.chat.parrot import USAGE


def test_an_encoding_without_the_characters_gets_escapes_of_json() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="latin-1")
    write_json({"answer": "é € 漢 \udcff"}, out)
    assert json.loads(raw.getvalue().decode("latin-1")) == {"answer": "é € 漢 \udcff"}
    plain = io.StringIO()
    write_json({"answer": "é €"}, plain)
    assert plain.getvalue() == '{"answer": "é €"}\n'


def test_every_event_has_its_fields() -> None:
    events: list[Event] = [
        PromptEvent(9, 3, (), ("hint",)),
        ProgressEvent("prefill", 1, 2),
        ReasoningEvent("hm"),
        TextEvent("a"),
        ToolCallEvent(ToolCall(0, "1", "f", "{}")),
        NoteEvent("n"),
        FinishEvent("stop", None, USAGE),
    ]
    found = [event_json(event, shows_reasoning=True) or {} for event in events]
    assert [one["event"] for one in found] == ["prompt", "progress", "reasoning", "text", "tool_call", "note", "finish"]
    assert found[0]["cached_tokens"] == 3
    assert found[4]["arguments"] == "{}"
    assert found[6]["usage"]["completion_tokens"] == 4
    assert event_json(ReasoningEvent("hm"), shows_reasoning=False) is None
    assert event_json(TokenEvent(1, False), shows_reasoning=True) is None
