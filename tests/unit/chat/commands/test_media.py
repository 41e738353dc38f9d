from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageGrab

from edge.chat.commands.media import files_of
from tests.unit.chat.parrot import Talking


@pytest.mark.parametrize("line", ["/image", "/video", "/pdf"])
def test_without_a_file_the_usage_is_said(talking: Talking, line: str) -> None:
    assert f"{line} needs a file: {line} FILE" in talking.say(line)


@pytest.mark.parametrize("line", ["/image gone.png", "/video gone.mp4", "/pdf gone.pdf:1"])
def test_a_file_that_is_not_there_is_named(talking: Talking, line: str) -> None:
    note = talking.say(line)
    assert "gone" in note
    assert note.count("\n") == 1


def test_several_files_behind_one_command(talking: Talking, tmp_path: Path) -> None:
    for name in ("a b.png", "c.png"):
        Image.new("RGB", (40, 30)).save(tmp_path / name)
    talking.say(f"/image '{tmp_path}/a b.png' {tmp_path}/c.png")
    assert talking.talk.waiting.names == ["a b.png", "c.png"]
    assert "no longer waiting: c.png" in talking.say("/drop")
    assert files_of(f"{tmp_path}/a b.png") == [f"{tmp_path}/a b.png"]


def test_the_clipboard_s_picture_waits_and_is_saved_with_the_talk(
    talking: Talking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageGrab, "grabclipboard", lambda: Image.new("RGB", (30, 40)))
    assert "clipboard 1, 30x40" in talking.say("/paste")
    talking.say("what?")
    path = talking.last().messages[-1]["content"][0]["image"]
    assert Path(path).parent == talking.folder / "media"
