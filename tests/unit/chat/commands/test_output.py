from __future__ import annotations

import pytest

from edge.chat.asking import clipboard
from tests.unit.chat.parrot import Talking


def test_the_last_thought_is_shown_on_request(talking: Talking) -> None:
    assert "no thought" in talking.say("/thought")
    talking.say("one")
    assert talking.say("/thought") == "hm\n\n"
    assert talking.talk.screen.thoughts == "hide"


def test_copy_needs_an_answer_and_a_place(talking: Talking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clipboard, "COMMANDS", ())
    assert "no answer to copy" in talking.say("/copy")
    talking.say("one")
    assert "/export FILE" in talking.say("/copy")
