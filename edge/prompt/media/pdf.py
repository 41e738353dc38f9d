"""Draw the pages of a PDF as pictures.

In: a document. Out: one PNG a page, at 150 dots an inch, smaller where a page is huge.
"""

from __future__ import annotations

import io
import math
import threading
from collections.abc import Callable, Sequence
from typing import Any

from edge.errors import MediaError
from edge.prompt.media.source import read_bytes

DOTS_PER_INCH = 150
MAX_PAGE_PIXELS = 16_000_000
_LOCK = threading.Lock()  # PDFium is not made for several threads


def draw_pages(
    source: object,
    *,
    label: str,
    max_pages: int,
    choose: Callable[[int], Sequence[int]] | None = None,
    allow_files: bool = False,
) -> list[bytes]:
    """Draw pages of a document.

    Args:
        source: The document, as `read_bytes` takes it.
        label: Name for messages.
        max_pages: More pages are refused.
        choose: Takes the number of pages there are and gives those wanted, from 1; None takes all.
        allow_files: Whether the source may be a path.

    Raises:
        MediaError: It is no PDF, is encrypted or has too many pages; or the extra is not installed.
    """
    try:
        import pypdfium2
    except ImportError:
        raise MediaError(f"{label}: PDF needs the extra: pip install 'qwen3vl-edge[pdf]'.") from None
    data = read_bytes(source, label=label, allow_files=allow_files)
    with _LOCK:
        try:
            document = pypdfium2.PdfDocument(data)
            try:
                numbers = choose(len(document)) if choose else range(1, len(document) + 1)
                if len(numbers) > max_pages:
                    raise MediaError(f"{label}: has {len(numbers)} pages, at most {max_pages} are taken. Split it.")
                return [_draw(document[number - 1]) for number in numbers]
            finally:
                document.close()
        except pypdfium2.PdfiumError as error:
            is_locked = "password" in str(error).lower()
            advice = "Save it without a password." if is_locked else "Open and save it again."
            raise MediaError(f"{label}: the PDF cannot be read ({error}). {advice}") from None


def _draw(page: Any) -> bytes:  # Any: the package has no types
    width, height = page.get_size()
    scale = min(DOTS_PER_INCH / 72, math.sqrt(MAX_PAGE_PIXELS / max(1.0, width * height)))
    file = io.BytesIO()
    page.render(scale=scale).to_pil().convert("RGB").save(file, "PNG")
    return file.getvalue()
