from __future__ import annotations

import base64
import io

import pytest
from PIL import Image

from edge.errors import MediaError
from edge.prompt.media.pdf import draw_pages


def pdf_bytes(pages: int, size: tuple[int, int] = (72, 144)) -> bytes:
    """A document whose pages are 1 x 2 inches unless told otherwise."""
    file = io.BytesIO()
    pictures = [Image.new("RGB", size, color) for color in ("red", "green", "blue")[:pages]]
    pictures[0].save(file, "PDF", save_all=True, append_images=pictures[1:], resolution=72)
    return file.getvalue()


def pdf_url(pages: int) -> str:
    return "data:application/pdf;base64," + base64.b64encode(pdf_bytes(pages)).decode()


def test_pages_are_drawn_in_order_at_150_dots_an_inch() -> None:
    first, second = (Image.open(io.BytesIO(page)) for page in draw_pages(pdf_bytes(2), label="a", max_pages=2))
    assert (first.size, second.size) == ((150, 300), (150, 300))
    red, green = first.getpixel((75, 150)), second.getpixel((75, 150))
    assert isinstance(red, tuple)
    assert isinstance(green, tuple)
    assert red[0] > 200 > 60 > red[1]
    assert green[1] > 100 > 60 > green[0]


def test_a_huge_page_is_drawn_smaller() -> None:
    page = Image.open(io.BytesIO(draw_pages(pdf_bytes(1, size=(7000, 5000)), label="a", max_pages=1)[0]))
    assert 15_000_000 < page.width * page.height <= 16_100_000


@pytest.mark.parametrize("data", [b"%PDF-1.7 nothing", b"no pdf at all"])
def test_what_is_no_pdf_is_refused(data: bytes) -> None:
    with pytest.raises(MediaError, match=r"a: the PDF cannot be read"):
        draw_pages(data, label="a", max_pages=1)


def test_too_many_pages_are_refused() -> None:
    with pytest.raises(MediaError, match="has 3 pages, at most 2"):
        draw_pages(pdf_bytes(3), label="a", max_pages=2)


def test_a_path_is_not_opened() -> None:
    with pytest.raises(MediaError, match="may not be named"):
        draw_pages("/etc/passwd", label="a", max_pages=1)
