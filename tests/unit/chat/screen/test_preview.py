from __future__ import annotations

import base64
import io
import re
import sys
from pathlib import Path

import pytest
from PIL import Image

from edge.chat.asking.item import WaitingItem
from edge.chat.screen.preview import MOST_PREVIEWS, preview_columns, show_previews
from edge.chat.screen.screen import Screen
from tests.unit.chat.screen.consoles import Console

IMAGE = re.compile(r"\x1b\]1337;File=inline=1;size=(\d+);width=(\d+);preserveAspectRatio=1:([^\x07]+)\x07\n")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Console:
    for name in ("NO_COLOR", "TMUX", "KITTY_WINDOW_ID", "KONSOLE_VERSION", "WT_SESSION", "GHOSTTY_RESOURCES_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("TERM_PROGRAM", "iTerm.app")
    return Console()


def picture(folder: Path, *, size: tuple[int, int] = (400, 200), name: str = "a.png") -> WaitingItem:
    Image.new("RGB", size, (200, 10, 10)).save(folder / name)
    return WaitingItem("image", name, folder / name, "")


def test_a_picture_is_sent_once_in_small_and_whole(terminal: Console, tmp_path: Path) -> None:
    show_previews(Screen(terminal, terminal), [picture(tmp_path)])
    ((size, columns, data),) = IMAGE.findall(terminal.getvalue())
    sent = base64.b64decode(data)
    assert (len(sent), int(columns)) == (int(size), 30)
    with Image.open(io.BytesIO(sent)) as shown:
        assert shown.size == (400, 200)
        assert shown.convert("RGB").getpixel((5, 5)) == (200, 10, 10)


@pytest.mark.parametrize(("size", "columns"), [((400, 200), 30), ((100, 100), 20), ((100, 1000), 2), ((9000, 1), 30)])
def test_no_preview_is_higher_than_ten_rows(size: tuple[int, int], columns: int) -> None:
    assert preview_columns(size) == columns


def test_of_many_pages_four_are_shown_and_the_rest_counted(terminal: Console, tmp_path: Path) -> None:
    show_previews(Screen(terminal, terminal), [picture(tmp_path)] * 6)
    assert len(IMAGE.findall(terminal.getvalue())) == MOST_PREVIEWS
    assert "(and 2 more)" in terminal.getvalue()


def test_a_picture_that_is_gone_is_passed_over(terminal: Console, tmp_path: Path) -> None:
    show_previews(Screen(terminal, terminal), [WaitingItem("image", "gone.png", tmp_path / "gone.png", "")])
    assert terminal.getvalue() == ""


@pytest.mark.parametrize(
    ("name", "value"), [("TERM", "dumb"), ("NO_COLOR", "1"), ("TERM_PROGRAM", "Apple_Terminal"), ("TMUX", "x")]
)
def test_terminals_without_pictures_get_nothing_and_are_not_asked(
    terminal: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.delitem(sys.modules, "textual_image.renderable", raising=False)
    monkeypatch.setenv(name, value)
    show_previews(Screen(terminal, terminal), [picture(tmp_path)])
    assert terminal.getvalue() == ""
    assert "textual_image.renderable" not in sys.modules
