from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edge.chat.sessions.session import Session
from edge.chat.sessions.store import find_session, last_session
from edge.chat.switching import take_over
from edge.errors import ConfigError, UsageError
from tests.unit.chat.parrot import Parrot, Talking, answer, question


def test_new_forgets_the_conversation_but_not_its_file(talking: Talking) -> None:
    talking.say("one")
    old = talking.folder
    talking.say("/new", "two")
    assert talking.last().messages == [question("two")]
    assert talking.folder != old
    assert (old / "talk.jsonl").exists()


def test_load_goes_on_with_a_saved_talk_and_its_settings(talking: Talking) -> None:
    talking.say("one", "/set temperature 0.25", "/new other", "two", "/set seed 3")
    name = next(path.name for path in talking.folder.parent.iterdir() if path != talking.folder)
    note = talking.say(f"/load {name}")
    assert f"going on with {name}: 1 question so far" in note
    talking.say("three")
    assert talking.last().messages == [question("one"), answer(1), question("three")]
    assert talking.last().sampling.temperature == 0.25  # type: ignore[union-attr]
    assert "this is the talk you are in" in talking.say(f"/load {name}")
    assert "there is no such talk" in talking.say("/load nowhere")


def test_a_talk_of_another_model_says_so(talking: Talking) -> None:
    talking.say("one")
    saved = last_session().read()
    saved.model = "another"
    take_over(talking.talk, saved)
    assert "held with another; now parrot answers" in talking.err.getvalue()


def test_two_windows_do_not_go_on_with_the_same_talk(talking: Talking) -> None:
    talking.say("one")
    first = talking.folder
    other = Talking()
    assert "open in another window" in other.say(f"/load {first.name}")
    other.say("two")
    assert other.folder != first
    talking.talk.keeper.close()
    found = find_session(first.name)
    assert found is not None
    found.lock()
    found.close()


def test_a_model_that_cannot_be_loaded_leaves_the_old_one(talking: Talking) -> None:
    def find(name: str | None) -> Callable[[], object]:
        def load() -> object:
            if name == "bad":
                raise ConfigError("bad: no such model.")
            return Parrot()

        return load

    talking.talk.find = find  # type: ignore[assignment]  # a stand-in
    assert "no such model" in talking.say("/model bad")
    assert talking.engine.is_closed
    talking.say("still there?")
    assert talking.talk.messages == [question("still there?"), answer(1)]
    assert "parrot answers from now on" in talking.say("/model good")
    assert talking.talk.options.model == "good"


def test_a_download_that_is_not_wanted_leaves_the_old_model_in_memory(talking: Talking) -> None:
    def find(name: str | None) -> Callable[[], object]:
        raise UsageError(f"{name} was not downloaded.")

    talking.talk.find = find  # type: ignore[assignment]  # a stand-in
    assert "8b was not downloaded" in talking.say("/model 8b")
    assert not talking.engine.is_closed


def test_two_windows_that_begin_a_talk_of_one_name_save_a_talk_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_DATA", str(tmp_path / "data"))
    first, other = Talking(session="same"), Talking(session="same")
    assert "another window" not in first.say("one")
    assert "same was begun in another window meanwhile; this talk is saved as same_2." in other.say(
        "/set seed 3", "two"
    )
    assert "another window" not in other.say("three")
    assert [path.folder.name for path in (first, other)] == ["same", "same_2"]
    saved = [Session(path.folder).read() for path in (first, other)]
    assert [one.messages for one in saved] == [[question("one"), answer(1)], other.talk.messages]
    assert [one.settings.get("sampling", {}).get("seed") for one in saved] == [None, 3]


def test_lines_that_are_lost_are_said(talking: Talking) -> None:
    talking.say("one")
    saved = last_session().read()
    saved.num_lost = 2
    take_over(talking.talk, saved)
    assert "2 lines of its talk.jsonl cannot be read" in talking.err.getvalue()
