from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from edge.chat.asking.waiting import WaitingMedia
from edge.errors import MediaError, UsageError


@pytest.fixture
def waiting(tmp_path: Path) -> WaitingMedia:
    media = WaitingMedia()
    for name in ("a.png", "b.png", "c.png"):
        Image.new("RGB", (48, 32)).save(tmp_path / name)
        media.add_typed(str(tmp_path / name))
    return media


@pytest.mark.parametrize(
    ("which", "left"),
    [
        ("", ["a.png", "b.png"]),
        ("2", ["a.png", "c.png"]),
        ("a.png", ["b.png", "c.png"]),
        ("ALL", []),
    ],
)
def test_what_waits_can_be_taken_away(waiting: WaitingMedia, which: str, left: list[str]) -> None:
    waiting.drop(which)
    assert waiting.names == left


@pytest.mark.parametrize("which", ["d.png", "0", "4", "²"])
def test_dropping_what_is_not_there_changes_nothing(waiting: WaitingMedia, which: str) -> None:
    with pytest.raises(UsageError, match=r"a\.png, b\.png, c\.png"):
        waiting.drop(which)
    assert len(waiting.items) == 3


def test_a_file_that_cannot_be_read_adds_nothing(waiting: WaitingMedia) -> None:
    with pytest.raises(MediaError, match=r"gone\.png"):
        waiting.add_typed("gone.png")
    assert len(waiting.items) == 3


def test_taken_items_can_wait_again_before_newer_ones(waiting: WaitingMedia, tmp_path: Path) -> None:
    taken = waiting.take()
    waiting.add_typed(str(tmp_path / "b.png"))
    waiting.put_back(taken)
    assert waiting.names == ["a.png", "b.png", "c.png", "b.png"]
