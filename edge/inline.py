"""Show a picture inside the terminal where it can be shown, and one line about it where not.

In: a picture. Out: text for the terminal. kitty and sixel come from textual-image (extra `terminal`), iTerm2's own
form is one escape sequence. A terminal that draws pictures from half blocks only gets the line: a thumbnail of 80 by
40 cells shows nothing of a page. textual-image asks the terminal questions when it is imported, so it is imported
here, late, and only for a terminal.
"""

from __future__ import annotations

import base64
import io
import os
import sys
from collections.abc import Mapping
from typing import TextIO

from PIL import Image

MOST_PIXELS = 1200
"""Longer sides are shrunk before they are sent: a terminal is no wider."""

# Terminals with kitty's form or sixel, by what they put into the environment.
_TERMS = ("xterm-kitty", "xterm-ghostty", "foot", "mlterm", "contour")
_VARIABLES = ("KITTY_WINDOW_ID", "GHOSTTY_RESOURCES_DIR", "KONSOLE_VERSION", "WT_SESSION")


def show_inline(
    picture: Image.Image,
    *,
    name: str,
    columns: int = 60,
    file: TextIO | None = None,
    environment: Mapping[str, str] | None = None,
    asks: bool = True,
) -> str:
    """Return what shows a picture in the terminal, ending in a newline; one line of text where it has no pictures.

    Args:
        picture: The picture.
        name: What the line calls it, such as the path of its file.
        columns: Width in cells.
        file: The terminal; standard output by default.
        environment: The program's environment, by default that of this process.
        asks: Whether a terminal that does not tell by its environment is asked; it may lose a key typed meanwhile.
    """
    environment = os.environ if environment is None else environment
    file = file or sys.stdout
    form = picture_form(file, environment, asks=asks)
    if form is None:
        return stand_in(picture, name)
    small = picture.convert("RGB")
    small.thumbnail((MOST_PIXELS, MOST_PIXELS))
    if form == "iterm2":
        return _iterm2(small, columns)
    if form == "textual-image":
        shown = _textual_image(small, columns)
        if shown is not None:
            return shown
    return stand_in(picture, name)


def stand_in(picture: Image.Image, name: str) -> str:
    """Return the line that stands for a picture."""
    return f"[picture {picture.width}x{picture.height}: {name}]\n"


def picture_form(file: TextIO, environment: Mapping[str, str], *, asks: bool = True) -> str | None:
    """Tell how a terminal takes pictures.

    Args:
        file: The terminal.
        environment: The program's environment.
        asks: As in `show_inline`.

    Returns:
        "iterm2", "textual-image" (kitty or sixel, if the terminal says so when it is asked), or None for not at all.
    """
    is_dumb = environment.get("TERM", "") in ("", "dumb") or "NO_COLOR" in environment
    if not file.isatty() or is_dumb or "TMUX" in environment:
        return None
    if environment.get("TERM_PROGRAM") in ("iTerm.app", "WezTerm"):
        return "iterm2"
    is_known = environment.get("TERM", "").startswith(_TERMS) or any(name in environment for name in _VARIABLES)
    was_asked = "textual_image.renderable" in sys.modules
    return "textual-image" if asks or was_asked or is_known else None


def _iterm2(picture: Image.Image, columns: int) -> str:
    data = io.BytesIO()
    picture.save(data, "PNG")
    text = base64.b64encode(data.getvalue()).decode()
    size = f"size={len(data.getvalue())};width={columns};preserveAspectRatio=1"
    return f"\x1b]1337;File=inline=1;{size}:{text}\x07\n"


def _textual_image(picture: Image.Image, columns: int) -> str | None:
    """Render with textual-image; None where it is missing or the terminal takes neither kitty's form nor sixel."""
    try:
        from rich.console import Console
        from textual_image.renderable import Image as Renderable
        from textual_image.renderable import SixelImage, TGPImage
    except ImportError:
        return None
    if Renderable not in (SixelImage, TGPImage):
        return None
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=columns, color_system="truecolor")
    console.print(Renderable(picture, width=columns))
    return text.getvalue()
