from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from edge.chat.sessions.saved_media import copy_in, find_copy
from edge.chat.sessions.session import FILE, Session
from edge.errors import EdgeError, MediaError

PICTURE = b"\x89PNG picture"


@pytest.fixture
def session(tmp_path: Path) -> Session:
    session = Session(tmp_path / "talks" / "one")
    session.begin("model")
    return session


def say(session: Session, *texts: str) -> None:
    for text in texts:
        session.add_message({"role": "user", "content": text}, names={})


def contents(session: Session) -> list[object]:
    return [message["content"] for message in session.read().messages]


def test_a_talk_comes_back_as_it_was(session: Session) -> None:
    copy = session.copy_in(PICTURE)
    parts = [{"type": "image", "image": str(copy), "max_pixels": 9}, {"type": "text", "text": "zażółć"}]
    session.add_message({"role": "user", "content": parts}, names={str(copy): "cat.png"})
    answer = {"role": "assistant", "content": "a", "reasoning_content": "hm", "tool_calls": [{"id": "1"}]}
    session.add_message(answer, names={}, finish_reason="stop")
    session.add_settings({"system": "s"})
    talk = session.read()
    assert talk.messages == [{"role": "user", "content": parts}, answer]
    assert (talk.settings, talk.model, talk.names, talk.missing) == (
        {"system": "s"},
        "model",
        {str(copy): "cat.png"},
        [],
    )


def test_cuts_are_followed_in_order(session: Session) -> None:
    say(session, "a", "b", "c")
    session.cut(1)
    say(session, "d")
    assert contents(session) == ["a", "d"]


def test_only_its_owner_may_read_it(session: Session) -> None:
    copy = session.copy_in(PICTURE)
    for path, mode in ((session.folder, 0o700), (session.folder / FILE, 0o600), (copy.parent, 0o700), (copy, 0o600)):
        assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.parametrize("cut", range(2, 60, 7))
def test_a_last_line_that_was_cut_off_loses_nothing_else(session: Session, cut: int) -> None:
    say(session, "a", "b")
    path = session.folder / FILE
    path.write_bytes(path.read_bytes()[:-cut])
    assert contents(session) == ["a"]
    say(session, "c")
    assert contents(session) == ["a", "c"]


def test_damage_and_later_kinds_are_passed_over(session: Session) -> None:
    say(session, "a")
    with (session.folder / FILE).open("ab") as file:
        file.write(b'\xff\xfe\n[1]\n{"type": "later"}\n{"type": "message"}\n{"type": "cut", "keep": "x"}\n')
    say(session, "b")
    assert contents(session) == ["a", "b"]


def test_a_later_version_is_refused(session: Session) -> None:
    (session.folder / FILE).write_text('{"type": "talk", "version": 2}\n')
    with pytest.raises(EdgeError, match="later version"):
        session.read()


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "media/../../x", "media/x", None, 5, ["media"]])
def test_a_talk_cannot_name_files_outside_its_folder(session: Session, name: object) -> None:
    part = {"type": "image", "image": name, "name": "cat.png"}
    with (session.folder / FILE).open("a") as file:
        file.write(json.dumps({"type": "message", "role": "user", "content": [part]}) + "\n")
    talk = session.read()
    assert talk.missing == ["cat.png"]
    assert talk.messages[0]["content"] == [{"type": "text", "text": "[image cat.png is no longer there]"}]


def test_a_copy_that_is_gone_is_named_and_the_talk_goes_on(session: Session) -> None:
    copy = session.copy_in(PICTURE)
    parts = [{"type": "image", "image": str(copy)}, {"type": "text", "text": "what?"}]
    session.add_message({"role": "user", "content": parts}, names={str(copy): "cat.png"})
    copy.unlink()
    assert session.read().missing == ["cat.png"]


def test_equal_pictures_are_copied_once(tmp_path: Path) -> None:
    (tmp_path / "a.JPG").write_bytes(PICTURE)
    (tmp_path / "b.jpg").write_bytes(PICTURE)
    first, second = (copy_in(tmp_path / name, tmp_path / "talk") for name in ("a.JPG", "b.jpg"))
    assert first == second
    assert first.suffix == ".jpg"
    assert copy_in("data:image/png;base64,iVBORw==", tmp_path / "talk").suffix == ".png"
    assert len(list((tmp_path / "talk" / "media").iterdir())) == 2
    assert find_copy(f"media/{first.name}", tmp_path / "talk") == first
    with pytest.raises(MediaError):
        copy_in("data:broken", tmp_path / "talk")


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        copy_in(tmp_path / "gone.png", tmp_path / "talk")
    assert list((tmp_path / "talk" / "media").iterdir()) == []


def test_two_windows_that_begin_at_once_get_a_talk_each(tmp_path: Path) -> None:
    one, other, third = (Session(tmp_path / "talks" / "same") for _ in range(3))
    copy = other.copy_in(PICTURE)
    one.begin("model")
    other.begin("model")
    say(one, "a")
    say(other, "b")
    assert not third.is_begun
    assert [contents(one), contents(other)] == [["a"], ["b"]]
    assert {one.name, other.name} == {"same", "same_2"}
    assert copy.parent.parent == other.folder


BROKEN = [
    '{"type": "message", "role": "robot", "content": "x"}',
    '{"type": "message", "role": ["user"], "content": "x"}',
    '{"type": "message", "role": "user", "content": 5}',
    '{"type": "message", "role": "user", "content": ["x"]}',
    '{"type": "message", "role": "user", "content": [{"type": "text"}]}',
    '{"type": "message", "role": "user", "content": [{"type": "smell"}]}',
    '{"type": "message", "role": "assistant", "content": "x", "tool_calls": 5}',
    '{"type": "message", "role": "assistant", "content": "x", "reasoning_content": 5}',
    "[" * 100_000,
    '{"type": "message", "role": "us',
    "5",
]


@pytest.mark.parametrize("line", BROKEN)
def test_a_line_that_no_talk_can_have_is_left_out_and_counted(session: Session, line: str) -> None:
    say(session, "a")
    with (session.folder / FILE).open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    say(session, "b")
    talk = session.read()
    assert [message["content"] for message in talk.messages] == ["a", "b"]
    assert talk.num_lost == 1
