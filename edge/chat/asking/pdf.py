"""Turn pages of a PDF into pictures that wait for a question.

In: a document and which pages, as a user types them. Out: one waiting picture a page.
"""

from __future__ import annotations

import io
import re

from edge.chat.asking.item import WaitingItem
from edge.chat.asking.looking import Source
from edge.errors import MediaError
from edge.prompt.media.pdf import draw_pages

MAX_PAGES = 64
"""More pages at once are refused: at 2,000 tokens a page they would fill the context."""
_PAGES = re.compile(r"\d+(-\d*)?(,\d+(-\d*)?)*")


def split_pages(text: str) -> tuple[str, str | None]:
    """Take the pages off `report.pdf:1,3-5`; None where none are named."""
    path, colon, pages = text.rpartition(":")
    if colon and path and _PAGES.fullmatch(pages):
        return path, pages
    return text, None


def page_numbers(pages: str | None, *, num_pages: int, name: str) -> list[int]:
    """List page numbers, from 1, in the order asked for.

    Raises:
        MediaError: There is no such page, or there are too many.
    """
    numbers: list[int] = []
    for part in (pages or "1-").split(","):
        first, dash, last = part.partition("-")
        start, stop = int(first), (int(last) if last else num_pages) if dash else int(first)
        if not 1 <= start <= stop <= num_pages:
            raise MediaError(f"{name}: pages {part}: expected pages from 1 to {num_pages}, in rising order.")
        numbers += range(start, stop + 1)
    if len(numbers) > MAX_PAGES:
        raise MediaError(f"{name}: {len(numbers)} pages are too many at once. Choose up to {MAX_PAGES}: {name}:1-10")
    return numbers


def read_pages(source: Source, *, name: str, pages: str | None = None) -> list[WaitingItem]:
    """Draw pages of a document.

    Args:
        source: The document.
        name: What the user calls it.
        pages: Such as `1,3-5`; None takes all.

    Raises:
        MediaError: It is no PDF, is encrypted, or has no such pages; or the extra is not installed.
    """
    numbers: list[int] = []

    def choose(num_pages: int) -> list[int]:
        numbers[:] = page_numbers(pages, num_pages=num_pages, name=name)
        return numbers

    drawn = draw_pages(source, label=name, max_pages=MAX_PAGES, choose=choose, allow_files=True)
    return [_item(f"{name}:{number}", png) for number, png in zip(numbers, drawn, strict=True)]


def _item(name: str, png: bytes) -> WaitingItem:
    from PIL import Image

    width, height = Image.open(io.BytesIO(png)).size
    return WaitingItem("image", name, png, f"{width}x{height}")
