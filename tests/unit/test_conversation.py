"""A conversation keeps its messages, and refuses what is wrong before anything runs."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edge
from edge.conversation import Conversation, user_message
from edge.errors import EdgeError, RequestError
from edge.events import FinishEvent, TextEvent, ToolCall
from tests.unit.run.engines import engine
from tests.unit.run.tiny import GREEDY, picture_prompt

CALL = ToolCall(0, "call_1", "look", "{}")


def begun_talk(**settings: Any) -> Conversation:  # Any: fields of Request
    """A talk of the tiny engine, which answers the prompt in the first message, whatever is said after it."""
    first = {"role": "user", "content": picture_prompt()}
    return engine().chat(messages=[first], **{"max_tokens": 8, "sampling": GREEDY, **settings})


def test_a_question_is_pictures_then_videos_then_text() -> None:
    message = user_message("What?", images=["a.png", edge.Image("b.png", {"max_pixels": 9})], videos=["c.mp4"])
    assert message["content"] == [
        {"type": "image", "image": "a.png"},
        {"type": "image", "image": "b.png", "max_pixels": 9},
        {"type": "video", "video": "c.mp4"},
        {"type": "text", "text": "What?"},
    ]


@pytest.mark.parametrize(
    ("given", "field"), [({"text": 5}, "question"), ({"images": "a.png"}, "images"), ({"videos": b"x"}, "videos")]
)
def test_a_wrong_question_is_refused(given: dict[str, Any], field: str) -> None:
    with pytest.raises(RequestError) as caught:
        user_message(**{"text": "What?", **given})
    assert caught.value.field == field


@pytest.mark.parametrize(("settings", "field"), [({"warmth": 1}, "warmth"), ({"system": 5}, "system")])
def test_wrong_settings_are_refused_when_it_begins(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(RequestError) as caught:
        engine().chat(**settings)
    assert caught.value.field == field


@pytest.mark.parametrize("results", [[], [("call_1", 5)], ["x"]])
def test_results_belong_to_calls(results: Any) -> None:  # Any: that is the point
    with pytest.raises(RequestError, match="each a ToolCall") as caught:
        engine().chat().give_results(results)
    assert caught.value.field == "results"


def test_a_message_with_paths_can_be_saved() -> None:
    message = user_message("What?", images=[Path("a.png"), edge.Image(Path("b.png"))], videos=[Path("c.mp4")])
    sources = [part[part["type"]] for part in json.loads(json.dumps(message))["content"]]
    assert sources == ["a.png", "b.png", "c.mp4", "What?"]


def test_a_talk_goes_on_with_saved_messages_and_leaves_them_alone() -> None:
    saved = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    chat = engine().chat(messages=saved)
    assert chat.messages == saved
    assert chat.messages is not saved


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"messages": "hi"}, "messages"),
        ({"messages": [5]}, "messages"),
        ({"system": "x", "messages": [{"role": "system", "content": "y"}]}, "system"),
    ],
)
def test_wrong_saved_messages_are_refused(given: dict[str, Any], field: str) -> None:
    with pytest.raises(RequestError) as caught:
        engine().chat(**given)
    assert caught.value.field == field


def test_the_talk_has_grown_when_the_finish_event_is_taken() -> None:
    chat = begun_talk()
    text = ""
    for event in chat.stream("What?"):
        if isinstance(event, TextEvent):
            text += event.text
        if isinstance(event, FinishEvent):
            break  # as a window's worker does: nobody asks for a further event
    assert chat.messages[1:] == [user_message("What?"), {"role": "assistant", "content": text}]


def test_a_cancelled_answer_stays_with_what_had_come() -> None:
    chat = begun_talk(max_tokens=200)
    with chat.stream("What?") as events:
        next(event for event in events if isinstance(event, TextEvent))
        events.cancel()
        assert events.answer().finish_reason == "cancelled"
    assert [message["role"] for message in chat.messages] == ["user", "user", "assistant"]
    assert chat.messages[-1]["content"]


def test_a_closed_answer_leaves_no_trace() -> None:
    chat = begun_talk(max_tokens=200)
    with chat.stream("What?") as events:
        next(events)
    assert isinstance(next(events), FinishEvent)
    assert len(chat.messages) == 1


def test_results_can_be_streamed() -> None:
    chat, whole = begun_talk(), begun_talk()
    text = "".join(event.text for event in chat.stream_results([(CALL, {"seen": 3})]) if isinstance(event, TextEvent))
    assert text == whole.give_results([(CALL, {"seen": 3})]).text
    assert chat.messages[1:] == whole.messages[1:]
    assert chat.messages[1]["content"] == '{"seen": 3}'


def test_a_refused_question_leaves_no_trace() -> None:
    chat = engine().chat(system="Be brief.")
    with pytest.raises(RequestError):
        chat.ask("What?", max_tokens=0)
    assert chat.messages == [{"role": "system", "content": "Be brief."}]


@pytest.mark.parametrize("branch", [copy.copy, copy.deepcopy])
def test_a_copy_is_a_branch_that_goes_on_apart(branch: Callable[[Conversation], Conversation]) -> None:
    chat = begun_talk()
    chat.ask("What?")
    other = branch(chat)
    assert other.ask("And now?").text
    other.messages[1]["content"][0]["text"] = "changed"
    assert chat.messages[1:2] == [user_message("What?")]
    assert len(other.messages) == len(chat.messages) + 2


def test_messages_may_be_put_in_as_any_sequence() -> None:
    chat = begun_talk()
    chat.messages = tuple(chat.messages)  # type: ignore[assignment]  # taken all the same
    assert chat.ask("What?").text
    assert [message["role"] for message in chat.messages] == ["user", "user", "assistant"]


@pytest.mark.parametrize("messages", [None, "hi", 5, [1], {"role": "user", "content": "hi"}])
def test_messages_that_are_none_are_refused_before_anything_runs(messages: Any) -> None:  # Any: that is the point
    chat = begun_talk()
    chat.messages = messages
    with pytest.raises(RequestError, match=r"^messages.*: expected") as caught:
        chat.ask("What?")
    assert caught.value.field == "messages"


def test_what_a_talk_cannot_be_sent_as_is_told() -> None:
    with pytest.raises(EdgeError, match="Save its messages"):
        pickle.dumps(begun_talk())
