from __future__ import annotations

import base64
import io
import sys
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from edge.inline import picture_form, show_inline, stand_in

PICTURE = Image.new("RGB", (300, 200), (200, 10, 10))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("file", "environment", "form"),
    [
        (io.StringIO(), {"TERM": "xterm-kitty"}, None),
        (Terminal(), {"TERM": "dumb"}, None),
        (Terminal(), {}, None),
        (Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}, None),
        (Terminal(), {"TERM": "screen", "TMUX": "x"}, None),
        (Terminal(), {"TERM": "xterm", "TERM_PROGRAM": "iTerm.app"}, "iterm2"),
        (Terminal(), {"TERM": "xterm-kitty"}, "textual-image"),
    ],
)
def test_the_form_follows_the_terminal(file: io.StringIO, environment: dict[str, str], form: str | None) -> None:
    assert picture_form(file, environment) == form


def test_elsewhere_one_line_stands_for_the_picture() -> None:
    shown = show_inline(PICTURE, name="boxes.png", file=io.StringIO())
    assert shown == stand_in(PICTURE, "boxes.png") == "[picture 300x200: boxes.png]\n"


def test_iterm2_gets_the_picture_itself() -> None:
    environment = {"TERM": "xterm", "TERM_PROGRAM": "iTerm.app"}
    shown = show_inline(PICTURE, name="a", file=Terminal(), environment=environment, columns=33)
    head, data = shown.strip("\n").removesuffix("\x07").split(":")
    assert head.startswith("\x1b]1337;File=inline=1;")
    assert "width=33" in head
    with Image.open(io.BytesIO(base64.b64decode(data))) as sent:
        assert sent.size == (300, 200)


def test_without_the_extra_the_line_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "textual_image.renderable", None)
    shown = show_inline(PICTURE, name="a", file=Terminal(), environment={"TERM": "xterm-kitty"})
    assert shown == stand_in(PICTURE, "a")


@pytest.mark.parametrize(("kind", "mark"), [("SixelImage", "\x1bP"), ("TGPImage", "\x1b_G"), ("HalfcellImage", None)])
def test_sixel_and_kitty_come_from_textual_image(
    kind: str, mark: str | None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    renderable: Any = pytest.importorskip("textual_image.renderable")
    fake = ModuleType("textual_image.renderable")
    chosen: Any = getattr(renderable, kind)
    vars(fake).update(Image=chosen, SixelImage=renderable.SixelImage, TGPImage=renderable.TGPImage)
    monkeypatch.setitem(sys.modules, "textual_image.renderable", fake)
    shown = show_inline(PICTURE, name="a", file=Terminal(), environment={"TERM": "xterm-kitty"})
    sent = shown + capfd.readouterr().out
    assert (mark in sent) if mark else shown == stand_in(PICTURE, "a")
