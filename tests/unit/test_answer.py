"""A whole answer of its events: text, thought, calls, boxes in pixels of the picture as given."""

from __future__ import annotations

import pytest

from edge.answer import join_events
from edge.errors import AnswerError, RequestError
from edge.events import (
    Event,
    FinishEvent,
    FinishReason,
    MediaUse,
    PromptEvent,
    ReasoningEvent,
    TextEvent,
    TokenEvent,
    ToolCall,
    ToolCallEvent,
    Usage,
)

USAGE = Usage(9, 0, 5, 1, 1, 0.0, 0.0, 0.0, 0.5, 0.0, 2.0, 1)
PICTURE = MediaUse("image", 4, (100, 200), (64, 128), "a.png", True, False)
CALL = ToolCall(0, "call_1", "look", '{"where": "left"}')


def events(text: str) -> list[Event]:
    return [
        PromptEvent(9, 0, (PICTURE,), ()),
        ReasoningEvent("I "),
        ReasoningEvent("look."),
        TokenEvent(1, True, -0.1),
        TextEvent(text[:3]),
        TextEvent(text[3:]),
        TokenEvent(2, False, -0.2),
        ToolCallEvent(CALL),
        FinishEvent("tool_calls", None, USAGE),
    ]


def test_pieces_join_in_order() -> None:
    answer = join_events(events("a cat"))
    assert (answer.text, answer.reasoning, answer.tool_calls) == ("a cat", "I look.", (CALL,))
    assert (answer.finish_reason, answer.usage) == ("tool_calls", USAGE)


def test_logprobs_are_those_of_the_answer_only() -> None:
    assert [token.token_id for token in join_events(events("a cat")).logprobs] == [2]


def test_boxes_and_points_are_in_pixels_of_the_picture_as_given() -> None:
    boxes = join_events(events('[{"bbox_2d": [100, 100, 500, 500], "label": "cat"}]')).boxes()
    assert [(box.label, box.corners_px) for box in boxes] == [("cat", (20, 10, 100, 50))]
    (point,) = join_events(events('[{"point_2d": [500, 500]}]')).points()
    assert (point.x, point.y) == (100.0, 50.0)


@pytest.mark.parametrize("media_index", [1, -1])
def test_a_picture_that_is_not_there_is_refused(media_index: int) -> None:
    with pytest.raises(RequestError, match="1 pictures and videos") as caught:
        join_events(events("x")).boxes(media_index=media_index)
    assert caught.value.field == "media_index"


def test_the_message_goes_on_with_thought_and_calls() -> None:
    message = join_events(events("a cat")).message()
    assert message["reasoning_content"] == "I look."
    assert message["tool_calls"][0]["function"] == {"name": "look", "arguments": '{"where": "left"}'}


def test_an_answer_under_a_schema_is_read_as_json() -> None:
    assert join_events(events('{"a": [1]}')).json() == {"a": [1]}


@pytest.mark.parametrize(
    ("reason", "advice"), [("length", "Raise max_tokens"), ("tool_calls", "in tool_calls"), ("stop", "with a schema")]
)
def test_json_that_is_not_whole_is_refused_with_what_to_do(reason: FinishReason, advice: str) -> None:
    cut = join_events([*events('{"a": [1')[:-1], FinishEvent(reason, None, USAGE)])
    with pytest.raises(AnswerError, match=f"ended by '{reason}' after 5 tokens.*{advice}"):
        cut.json()
