from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.unit.chat.parrot import Talking

BOX = '[{"bbox_2d": [250, 500, 750, 1000], "label": "cat"}, {"point_2d": [500, 100], "label": "ear"}]'


@pytest.fixture
def asked(talking: Talking, tmp_path: Path) -> Talking:
    Image.new("RGB", (400, 200), (255, 255, 255)).save(tmp_path / "cat.png")
    talking.engine.says = BOX
    note = talking.say(f"{tmp_path}/cat.png where?")
    assert "(1 box and 1 point: /boxes shows them" in note
    return talking


def test_marks_are_told_in_pixels_drawn_on_a_copy_and_saved_beside_the_talk(asked: Talking, tmp_path: Path) -> None:
    note = asked.say("/boxes")
    assert "#1 cat: box (100, 100) to (300, 200)" in note
    assert "#2 ear: point (200, 20)" in note
    assert "cat.png, 400x200" in note
    drawn = asked.folder / "media" / "boxes-cat.png"
    assert drawn.stat().st_mode & 0o777 == 0o600
    with Image.open(drawn) as picture:
        assert picture.size == (800, 400)
        assert (np.asarray(picture) != 255).any()
    with Image.open(tmp_path / "cat.png") as original:
        assert (np.asarray(original) == 255).all()
    assert "boxes-cat-2.png" in asked.say("/boxes")


def test_a_file_and_another_picture_may_be_named(asked: Talking, tmp_path: Path) -> None:
    Image.new("RGB", (100, 100)).save(tmp_path / "dog.png")
    asked.say(f"{tmp_path}/dog.png and here?")
    assert "dog.png, 100x100" in asked.say("/boxes")
    assert "cat.png, 400x200" in asked.say(f"/boxes 1 {tmp_path}/drawn.png")
    assert (tmp_path / "drawn.png").is_file()
    assert "1 to 2, found 3" in asked.say("/boxes 3")


def test_an_incognito_talk_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_DATA", str(tmp_path / "data"))
    talking = Talking(is_saved=False)
    Image.new("RGB", (40, 30)).save(tmp_path / "cat.png")
    talking.engine.says = BOX
    talking.say(f"{tmp_path}/cat.png where?")
    assert "not saved" in talking.say("/boxes")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cat.png"]


def test_without_marks_or_pictures_the_reason_is_said(talking: Talking) -> None:
    assert "no boxes or points" in talking.say("one", "/boxes")
    talking.engine.says = BOX
    assert "/boxes shows" not in talking.say("two")
    assert "no picture in this talk" in talking.say("/boxes")
