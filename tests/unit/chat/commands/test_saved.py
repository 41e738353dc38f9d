from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from tests.unit.chat.parrot import Talking


def test_sessions_lists_talks_with_their_first_question(talking: Talking) -> None:
    assert "No talk is saved yet" in talking.say("/sessions")
    talking.say("what is a fork?", "and a knife?", "/new second one", "hello")
    note = talking.say("/sessions")
    assert "second one" in note
    assert "2 questions  what is a fork?" in note


def test_save_says_where_or_copies(talking: Talking, tmp_path: Path) -> None:
    assert "nothing to save" in talking.say(f"/save {tmp_path}/copy.jsonl")
    talking.say("one")
    assert "saved as it goes" in talking.say("/save")
    talking.say(f"/save {tmp_path}/copy.jsonl")
    lines = (tmp_path / "copy.jsonl").read_text().splitlines()
    assert [json.loads(line)["role"] for line in lines] == ["user", "assistant"]
    assert "exists" in talking.say(f"/save {tmp_path}/copy.jsonl")


def test_export_writes_markdown_with_pictures(talking: Talking, tmp_path: Path) -> None:
    assert "needs a file" in talking.say("/export")
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    talking.say(f"{tmp_path}/a.png one")
    assert "with 1 picture" in talking.say(f"/export {tmp_path}/talk")
    text = (tmp_path / "talk.md").read_text()
    assert "![a.png](talk_files/1.png)" in text
    assert "answer 1" in text
    assert (tmp_path / "talk_files" / "1.png").read_bytes() == (tmp_path / "a.png").read_bytes()


def test_delete_takes_a_talk_by_its_whole_name_and_what_was_kept(talking: Talking, tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    talking.say("/new holiday", f"{tmp_path}/a.png one")
    folder = talking.folder
    assert "this is the talk you are in" in talking.say("/delete holiday")
    talking.say("/new", "two")
    for line in ("/delete", "/delete holi", "/delete nothing"):
        assert "/sessions lists them" in talking.say(line)
    assert (folder / "media").is_dir()
    assert not talking.engine.has_forgotten
    assert "deleted: holiday" in talking.say("/delete holiday")
    assert not folder.exists()
    assert talking.engine.has_forgotten
    assert talking.folder.exists()
