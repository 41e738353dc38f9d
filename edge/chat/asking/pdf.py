"""Turn pages of a PDF into pictures.

In: a document and which pages. Out: one PNG a page, at 150 dots an inch, smaller where a page is huge.
"""

from __future__ import annotations

import io
import math
import re
from typing import Any

from edge.chat.asking.item import WaitingItem
from edge.chat.asking.looking import Source
from edge.errors import MediaError
from edge.prompt.media.source import read_bytes

DOTS_PER_INCH = 150
MAX_PAGE_PIXELS = 16_000_000
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
    try:
        import pypdfium2
    except ImportError:
        raise MediaError(f"{name}: PDF needs the extra: pip install 'qwen3vl-edge[pdf]'.") from None
    data = read_bytes(source, label=name)
    try:
        document = pypdfium2.PdfDocument(data)
        try:
            numbers = page_numbers(pages, num_pages=len(document), name=name)
            return [_draw(document[number - 1], f"{name}:{number}") for number in numbers]
        finally:
            document.close()
    except pypdfium2.PdfiumError as error:
        is_locked = "password" in str(error).lower()
        advice = "Save it without a password." if is_locked else "Open and save it again."
        raise MediaError(f"{name}: the PDF cannot be read ({error}). {advice}") from None


def _draw(page: Any, name: str) -> WaitingItem:  # Any: the package has no types
    width, height = page.get_size()
    scale = DOTS_PER_INCH / 72
    scale = min(scale, math.sqrt(MAX_PAGE_PIXELS / max(1.0, width * height)))
    picture = page.render(scale=scale).to_pil().convert("RGB")
    file = io.BytesIO()
    picture.save(file, "PNG")
    return WaitingItem("image", name, file.getvalue(), f"{picture.width}x{picture.height}")
