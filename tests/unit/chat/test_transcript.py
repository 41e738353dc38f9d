from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.chat.transcript import Transcript, data_folder, new_transcript_path
from edge.errors import EdgeError, UsageError


def test_every_message_is_on_disk_as_soon_as_it_was_said(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path / "deep" / "talk.jsonl")
    transcript.add({"role": "user", "content": "zażółć"})
    assert json.loads(transcript.path.read_text())["content"] == "zażółć"
    transcript.add({"role": "assistant", "content": "a\nb"})
    roles = [json.loads(line)["role"] for line in transcript.path.read_text().splitlines()]
    assert roles == ["user", "assistant"]


def test_a_talk_without_messages_leaves_no_file(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path / "talk.jsonl")
    assert not transcript.path.exists()
    with pytest.raises(UsageError, match="nothing to save"):
        transcript.copy_to(tmp_path / "copy.jsonl")


def test_a_copy_does_not_overwrite(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path / "talk.jsonl")
    transcript.add({"role": "user", "content": "hi"})
    transcript.copy_to(tmp_path / "copy.jsonl")
    assert (tmp_path / "copy.jsonl").read_text() == transcript.path.read_text()
    with pytest.raises(UsageError, match="exists"):
        transcript.copy_to(tmp_path / "copy.jsonl")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgeError, match="--save"):
        Transcript(tmp_path / "file" / "talk.jsonl").add({"role": "user", "content": "hi"})


def test_two_talks_begun_in_one_second_have_two_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_DATA", str(tmp_path))
    first = new_transcript_path()
    Transcript(first).add({"role": "user", "content": "hi"})
    assert new_transcript_path() != first
    assert data_folder() == tmp_path
