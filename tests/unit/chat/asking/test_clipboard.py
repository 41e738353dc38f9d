from __future__ import annotations

import base64

import pytest
from PIL import Image, ImageGrab

from edge.chat.asking import clipboard
from edge.errors import MediaError, UsageError


def test_a_copied_picture_comes_as_png_and_copied_files_as_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageGrab, "grabclipboard", lambda: Image.new("RGB", (3, 4)))
    (data,) = clipboard.clipboard_pictures()
    assert isinstance(data, bytes)
    assert data.startswith(b"\x89PNG")
    monkeypatch.setattr(ImageGrab, "grabclipboard", lambda: ["/a.png"])
    assert clipboard.clipboard_pictures() == ["/a.png"]


def test_without_a_picture_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageGrab, "grabclipboard", lambda: None)
    with pytest.raises(MediaError, match="no picture in the clipboard"):
        clipboard.clipboard_pictures()

    def refuse() -> None:
        raise NotImplementedError("wl-paste or xclip is required")

    monkeypatch.setattr(ImageGrab, "grabclipboard", refuse)
    with pytest.raises(MediaError, match="cannot be read here"):
        clipboard.clipboard_pictures()


def test_where_no_program_copies_the_terminal_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clipboard, "COMMANDS", (("no-such-program",),))
    how, escape = clipboard.copy_text("zażółć", terminal_escape=True)
    assert "if the terminal allows" in how
    assert base64.b64decode(escape.removeprefix("\x1b]52;c;").removesuffix("\a")).decode() == "zażółć"
    with pytest.raises(UsageError, match="/export"):
        clipboard.copy_text("x", terminal_escape=False)
