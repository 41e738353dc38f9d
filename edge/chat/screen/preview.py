"""Show pictures inside the terminal: those of a question in small, and drawings.

In: pictures. Out: escapes of the terminal's own form on stdout, where it has one. Elsewhere nothing: a line has named
the picture already.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from edge.chat.asking.item import WaitingItem
from edge.chat.screen.screen import Screen
from edge.errors import EdgeError

if TYPE_CHECKING:
    from PIL import Image

MOST_PREVIEWS = 4
"""So many are shown at once: a document may have a hundred pages."""
MOST_COLUMNS, MOST_ROWS = 30, 10
CELL_ASPECT = 2
"""A cell of a terminal is about twice as high as wide."""


def show_previews(screen: Screen, items: Sequence[WaitingItem]) -> None:
    """Show pictures of a question in small, in terminals that tell by their environment that they can.

    Args:
        screen: Where; nothing is shown in a pipe or on a dumb terminal.
        items: What was added to the question; videos are passed over.
    """
    from edge.inline import picture_form  # late: Pillow takes a noticeable time to import

    if not screen.out.can_move or picture_form(screen.out.file, os.environ, asks=False) is None:
        return
    from PIL import Image

    from edge.prompt.media.picture import load_image

    pictures = [item for item in items if item.kind == "image"]
    for item in pictures[:MOST_PREVIEWS]:
        with suppress(EdgeError):  # what is wrong with it is told where it is read for the model
            picture = Image.fromarray(load_image(item.source, label=item.name))
            show_picture(screen, picture, name=item.name, columns=preview_columns(picture.size), asks=False)
    if len(pictures) > MOST_PREVIEWS:
        screen.note(f"(and {len(pictures) - MOST_PREVIEWS} more)")


def preview_columns(size: tuple[int, int]) -> int:
    """Return the width in cells at which a picture of this width and height is no higher than `MOST_ROWS`."""
    width, height = size
    return max(2, min(MOST_COLUMNS, CELL_ASPECT * MOST_ROWS * width // max(1, height)))


def show_picture(screen: Screen, picture: Image.Image, *, name: str, columns: int, asks: bool = True) -> None:
    """Show a picture where the terminal can; elsewhere nothing.

    Args:
        screen: Where.
        picture: The picture.
        name: What it is called.
        columns: Most cells of its width.
        asks: Whether a terminal that does not tell by its environment is asked what it can.
    """
    from edge.inline import show_inline, stand_in

    if not screen.out.can_move:
        return
    columns = min(columns, screen.out.columns - 1)
    text = show_inline(picture, name=name, columns=columns, file=screen.out.file, asks=asks)
    if text != stand_in(picture, name):
        screen.end_line()
        screen.out.write_raw(text)
