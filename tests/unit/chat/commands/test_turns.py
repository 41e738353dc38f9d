from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from edge.chat.sessions.session import Session
from tests.unit.chat.parrot import Talking, answer, question


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def saved(talking: Talking) -> list[dict[str, object]]:
    return Session(talking.folder).read().messages


def test_retry_asks_the_same_again_in_the_place_of_the_answer(talking: Talking, picture: Path) -> None:
    talking.say(f"{picture} one")
    before = talking.talk.messages[0]
    talking.say("/retry")
    assert talking.talk.messages == [before, answer(2)]
    assert saved(talking) == talking.talk.messages


def test_retry_with_a_seed_takes_the_next(talking: Talking) -> None:
    talking.say("/set seed 5", "one", "/retry")
    assert talking.last().sampling.seed == 6  # type: ignore[union-attr]


def test_retry_without_chance_says_so(talking: Talking) -> None:
    talking.say("/set temperature 0", "one")
    assert "the answer will be the same" in talking.say("/retry")


def test_a_retry_that_fails_keeps_the_old_answer(talking: Talking) -> None:
    talking.say("one", "two")
    messages = list(talking.talk.messages)
    talking.talk.messages[2]["content"] = "fail early"
    messages[2]["content"] = "fail early"
    talking.say("/retry")
    assert talking.talk.messages == messages
    assert [message["role"] for message in saved(talking)] == ["user", "assistant"] * 2


def test_edit_replaces_the_question_and_keeps_its_pictures(talking: Talking, picture: Path) -> None:
    talking.say("zero", f"{picture} one")
    talking.say("/edit two")
    assert len(talking.talk.messages) == 4
    content = talking.talk.messages[2]["content"]
    assert [part["type"] for part in content] == ["image", "text"]
    assert content[1]["text"] == "two"
    assert saved(talking) == talking.talk.messages


def test_edit_alone_gives_the_question_back_to_be_changed(talking: Talking) -> None:
    talking.say("one", "/edit")
    assert talking.talk.prefill == "one"
    talking.say("one, please")
    assert talking.talk.messages == [question("one, please"), answer(2)]


def test_another_command_ends_an_edit(talking: Talking) -> None:
    talking.say("one", "/edit", "/help", "two")
    assert len(talking.talk.messages) == 4


def test_undo_forgets_and_lets_the_picture_wait_again(talking: Talking, picture: Path) -> None:
    talking.say("zero", f"{picture} one")
    assert "a.png waits again" in talking.say("/undo")
    assert talking.talk.messages == [question("zero"), answer(1)]
    assert saved(talking) == talking.talk.messages
    assert talking.talk.waiting.names == ["a.png"]
    talking.say("two")
    assert len(talking.last().messages[-1]["content"]) == 2


@pytest.mark.parametrize("line", ["/retry", "/edit", "/undo"])
def test_before_anything_was_asked_it_is_one_line(talking: Talking, line: str) -> None:
    assert talking.say(line) == "edge.chat: Nothing was asked yet.\n"
