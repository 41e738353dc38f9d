from __future__ import annotations

import base64
from pathlib import Path

import pytest

from edge.prompt.media.heads import is_video_head, is_video_text

EXAMPLES = Path(__file__).resolve().parents[4] / "examples"


@pytest.mark.parametrize(
    ("head", "is_video"),
    [
        (b"\x00\x00\x00\x18ftypmp42", True),
        (b"\x00\x00\x00\x14ftypqt  ", True),
        (b"\x00\x00\x00\x18ftypheic", False),
        (b"\x00\x00\x00\x1cftypavif", False),
        (b"\x1aE\xdf\xa3\x01\x00\x00\x00\x00\x00\x00\x1f", True),
        (b"RIFF\x00\x00\x00\x00AVI ", True),
        (b"RIFF\x00\x00\x00\x00WEBP", False),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0d", False),
        (b"", False),
    ],
)
def test_a_video_is_told_by_its_head(head: bytes, is_video: bool) -> None:
    assert is_video_head(head) is is_video


@pytest.mark.parametrize(("name", "is_video"), [("video/appear.mp4", True), ("images/scene.png", False)])
def test_base64_is_told_plain_and_as_a_data_url(name: str, is_video: bool) -> None:
    text = base64.b64encode((EXAMPLES / name).read_bytes()).decode()
    assert [is_video_text(one) for one in (text, f"data:;base64,{text}")] == [is_video, is_video]


@pytest.mark.parametrize("text", ["", "!", "data:", "data:video/mp4", "\u20ac" * 30, "AAA"])
def test_what_is_no_base64_is_no_video(text: str) -> None:
    assert not is_video_text(text)
