from __future__ import annotations

import pytest

from edge.answer import Answer, join_events
from edge.chat.asking import explain_cut
from edge.events import FinishEvent, FinishReason, ReasoningEvent, TextEvent
from tests.unit.chat.test_talk import USAGE


def answer(text: str, reasoning: str, reason: FinishReason) -> Answer:
    return join_events([ReasoningEvent(reasoning), TextEvent(text), FinishEvent(reason, None, USAGE)])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (answer("yes", "hm", "stop"), None),
        (answer("ye", "", "cancelled"), None),
        (answer("ye", "hm", "length"), "cut at 4 tokens"),
        (answer("", "hm", "length"), "went into the thought"),
        (answer("", "hm", "stop"), "ended inside its thought"),
    ],
)
def test_an_answer_that_is_not_whole_is_explained(given: Answer, expected: str | None) -> None:
    line = explain_cut(given)
    assert (line is None) == (expected is None)
    assert (expected or "") in (line or "")
