from __future__ import annotations

import pytest

from edge.answer import Answer, join_events
from edge.chat.screen.describe import describe_media, describe_usage, explain_cut
from edge.events import FinishEvent, FinishReason, MediaUse, ReasoningEvent, TextEvent, Usage
from tests.unit.chat.parrot import USAGE


def answer(text: str, reasoning: str, reason: FinishReason) -> Answer:
    return join_events([ReasoningEvent(reasoning), TextEvent(text), FinishEvent(reason, None, USAGE)])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (answer("yes", "hm", "stop"), None),
        (answer("ye", "", "cancelled"), "stopped"),
        (answer("ye", "hm", "length"), "cut at 4 tokens; raise --max-tokens"),
        (answer("", "hm", "length"), "went into the thought"),
        (answer("", "hm", "stop"), "ended inside its thought"),
    ],
)
def test_an_answer_that_is_not_whole_is_explained(given: Answer, expected: str | None) -> None:
    line = explain_cut(given)
    assert (line is None) == (expected is None)
    assert (expected or "") in (line or "")


def test_in_a_talk_the_command_is_named() -> None:
    assert "/set max-tokens" in (explain_cut(answer("ye", "", "length"), in_talk=True) or "")


def test_a_picture_is_told_under_its_own_name() -> None:
    summary = "/a/media/0f.png: 1280x720 -> 640x352 pixels, 99 tokens (limit: max_pixels 9)"
    use = MediaUse("image", 99, (720, 1280), (352, 640), summary, True, False)
    assert describe_media("cat: 1x1.png", use) == (
        "cat: 1x1.png: 1280x720 -> 640x352 pixels, 99 tokens (limit: max_pixels 9)"
    )


def test_usage_is_one_line_with_speeds() -> None:
    usage = Usage(
        prompt_tokens=120,
        cached_tokens=20,
        completion_tokens=11,
        reasoning_tokens=0,
        vision_runs=1,
        prompt_s=0.25,
        queue_s=0.0,
        vision_s=0.25,
        prefill_s=0.5,
        first_token_s=1.0,
        decode_s=2.0,
        peak_bytes=1_500_000_000,
        guessed_tokens=9,
        accepted_tokens=6,
    )
    line = describe_usage(usage)
    for part in (
        "prompt 120 tokens (20 kept)",
        "200 tokens/s",
        "5.0 tokens/s (6 of 9 guesses right)",
        "first token 1.00 s",
        "1.50 GB",
    ):
        assert part in line
