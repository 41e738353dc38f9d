from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from edge.chat.keeping import settings_of, with_settings
from edge.chat.options import ChatOptions
from edge.chat.sessions import folder
from tests.unit.chat.parrot import Talking, answer, question


def fill_disk(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_full_disk_is_said_once_and_the_talk_goes_on(talking: Talking, monkeypatch: pytest.MonkeyPatch) -> None:
    talking.say("one")
    monkeypatch.setattr("edge.chat.sessions.session.append_private", fill_disk)
    assert "not saved (No space left on device)" in talking.say("two")
    assert talking.say("three") == ""
    assert talking.last().messages[-1] == question("three")
    assert len(talking.talk.messages) == 6


def test_a_picture_that_cannot_be_copied_is_shown_all_the_same(
    talking: Talking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    monkeypatch.setattr("edge.chat.sessions.session.copy_in", fill_disk)
    assert "not saved" in talking.say(f"{tmp_path}/a.png what?")
    shown, _ = talking.last().messages[-1]["content"]
    assert shown == {"type": "image", "image": (tmp_path / "a.png").read_bytes()}


def test_a_short_write_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.append_private(tmp_path / "f", "whole")
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, data[:3]))
    with pytest.raises(OSError, match="No space"):
        folder.append_private(tmp_path / "f", "cut off")
    assert (tmp_path / "f").read_text() == "whole\n"


def test_incognito_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_DATA", str(tmp_path / "data"))
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    talking = Talking(is_saved=False)
    talking.say(f"{tmp_path}/a.png what?", "/set temperature 0.5", "/retry", "/undo", "/new", "one")
    assert sorted(tmp_path.iterdir()) == [tmp_path / "a.png"]


def test_the_file_of_save_gets_the_messages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_DATA", str(tmp_path / "data"))
    talking = Talking(save=tmp_path / "talk.jsonl", system="Be brief.")
    talking.say("one")
    lines = [json.loads(line) for line in (tmp_path / "talk.jsonl").read_text().splitlines()]
    assert [line["role"] for line in lines] == ["system", "user", "assistant"]
    assert {key: lines[2][key] for key in answer(1)} == answer(1)
    assert lines[2]["finish_reason"] == "stop"


def test_settings_of_a_talk_come_back_where_none_are_given() -> None:
    saved = settings_of(ChatOptions(system="a", think=5, sampling={"seed": 1}, stop=("x",)))
    assert saved == {"system": "a", "think": 5, "sampling": {"seed": 1}, "stop": ("x",)}
    back = with_settings(ChatOptions(system="b"), {**json.loads(json.dumps(saved)), "unknown": 1})
    assert back == ChatOptions(system="b", think=5, sampling={"seed": 1}, stop=("x",))
