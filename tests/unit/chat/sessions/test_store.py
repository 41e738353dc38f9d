from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge.chat.sessions.store import check_name, find_session, last_session, list_talks, new_session
from edge.errors import UsageError


@pytest.fixture(autouse=True)
def _data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_DATA", str(tmp_path))


def make(name: str, time_s: int) -> None:
    session = new_session(name)
    session.begin("m")
    session.add_message({"role": "user", "content": f"first of {name} " + "x" * 99}, names={})
    session.close()
    os.utime(session.folder / "talk.jsonl", (time_s, time_s))


def test_the_last_talk_is_the_one_in_which_something_was_said_last() -> None:
    make("older", 200)
    make("newer", 300)
    make("oldest", 100)
    assert last_session().name == "newer"
    assert [talk.name for talk in list_talks()] == ["newer", "older", "oldest"]
    assert len(list_talks()[0].first) == 50


def test_a_talk_is_found_by_the_beginning_of_its_name() -> None:
    make("plans", 1)
    make("plant", 2)
    make("garden", 3)
    found = find_session("gar")
    assert found is not None
    assert found.name == "garden"
    exact = find_session("plant")
    assert exact is not None
    with pytest.raises(UsageError, match="several"):
        find_session("pla")
    assert find_session("nothing") is None
    with pytest.raises(UsageError, match="there is a talk of that name"):
        new_session("plans")


def test_without_talks_there_is_nothing_to_go_on_with() -> None:
    with pytest.raises(UsageError, match="no saved talk"):
        last_session()
    assert list_talks() == []


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "a\0", "x" * 300, " a", "a ", "-x", "a\nb"])
def test_names_that_could_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot name a talk"):
        check_name(name)


@pytest.mark.parametrize("name", ["plans", "my talk", "zażółć", "2026-11-26_09", "a.b"])
def test_ordinary_names_are_taken(name: str) -> None:
    assert check_name(name) == name
