from __future__ import annotations

from pathlib import Path

import pytest

from edge.chat.asking import assistant_message, explain_cut, user_message
from edge.events import Answer, FinishEvent, FinishReason
from tests.unit.chat.test_talk import STATISTICS


def answer(text: str, reasoning: str, reason: FinishReason) -> Answer:
    return Answer(text, reasoning, FinishEvent(reason, None, STATISTICS))


def test_pictures_come_before_videos_and_text() -> None:
    content = user_message("Compare", images=[Path("a.png")], videos=[Path("v.mp4")])["content"]
    assert [item["type"] for item in content] == ["image", "video", "text"]


def test_a_thought_is_kept_beside_the_answer() -> None:
    assert assistant_message(answer("yes", "hm", "stop")) == {
        "role": "assistant",
        "content": "yes",
        "reasoning_content": "hm",
    }
    assert "reasoning_content" not in assistant_message(answer("yes", "", "stop"))


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
