from __future__ import annotations

from typing import Any

import pytest

from edge.events import FinishEvent, MediaUse, NoteEvent, PromptEvent, TextEvent
from edge.server.ending import Warnings, ending_of
from edge.server.errors import ApiError
from tests.unit.server.recorded import EVENTS, finish


@pytest.mark.parametrize(
    ("reason", "ending"),
    [("stop", "stop"), ("length", "length"), ("tool_calls", "tool_calls"), ("repetition", "length")],
)
def test_each_end_has_a_word_that_all_protocols_know(reason: Any, ending: str) -> None:
    assert ending_of(finish(reason)) == ending


def test_half_an_answer_is_no_answer() -> None:
    with pytest.raises(ApiError, match="was cancelled"):
        ending_of(finish("cancelled"))


def use(summary: str, *, is_shrunk: bool) -> MediaUse:
    return MediaUse("image", 16, (10, 10), (8, 8), summary, is_shrunk, False)


def test_hints_shrunk_pictures_and_notes_are_told_in_order() -> None:
    prompt = PromptEvent(1, 0, (use("small", is_shrunk=False), use("shrunk", is_shrunk=True)), ("hint",))
    warnings = Warnings([prompt, TextEvent("x"), NoteEvent("note")])
    warnings.add(finish())
    assert warnings.body == {"warnings": ["hint", "shrunk", "note"]}


def test_the_same_is_said_once_whatever_the_number_of_choices() -> None:
    prompt = PromptEvent(1, 0, (), ("hint",))
    assert Warnings([prompt, NoteEvent("a"), prompt, NoteEvent("a")]).body == {"warnings": ["hint", "a"]}


def test_nothing_to_say_is_no_field() -> None:
    assert Warnings(event for event in EVENTS if not isinstance(event, FinishEvent)).body == {}
