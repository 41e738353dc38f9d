from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.chat.sessions.transcript import Transcript
from edge.errors import EdgeError


def test_every_message_is_on_disk_as_soon_as_it_was_said(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path / "deep" / "talk.jsonl")
    transcript.add({"role": "user", "content": "zażółć"})
    assert json.loads(transcript.path.read_text())["content"] == "zażółć"
    transcript.add({"role": "assistant", "content": "a\nb"})
    roles = [json.loads(line)["role"] for line in transcript.path.read_text().splitlines()]
    assert roles == ["user", "assistant"]


def test_bytes_of_a_picture_become_a_data_url(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path / "talk.jsonl")
    transcript.add({"role": "user", "content": [{"type": "image", "image": b"abc"}]})
    assert json.loads(transcript.path.read_text())["content"][0]["image"].endswith(";base64,YWJj")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgeError, match="--save"):
        Transcript(tmp_path / "file" / "talk.jsonl").add({"role": "user", "content": "hi"})
