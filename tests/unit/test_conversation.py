"""A conversation keeps its messages, and refuses what is wrong before anything runs."""

from __future__ import annotations

from typing import Any

import pytest

import edge
from edge.conversation import user_message
from edge.errors import RequestError
from tests.unit.run.engines import engine


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


def test_a_refused_question_leaves_no_trace() -> None:
    chat = engine().chat(system="Be brief.")
    with pytest.raises(RequestError):
        chat.ask("What?", max_tokens=0)
    assert chat.messages == [{"role": "system", "content": "Be brief."}]
