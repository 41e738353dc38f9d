from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from edge.chat.asking.pdf import page_numbers, read_pages, split_pages
from edge.chat.asking.waiting import WaitingMedia
from edge.errors import MediaError


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """Three pages of different widths, in dots at 72 an inch."""
    pages = [Image.new("RGB", (72 * i, 144), (i * 60, 0, 0)) for i in (1, 2, 4)]
    path = tmp_path / "a report.pdf"
    pages[0].save(path, save_all=True, append_images=pages[1:])
    return path


def test_pages_become_pictures_of_150_dots_an_inch(document: Path) -> None:
    items = read_pages(document, name="r.pdf", pages="3,1")
    assert [item.name for item in items] == ["r.pdf:3", "r.pdf:1"]
    sizes = [Image.open(io.BytesIO(item.source)).size for item in items if isinstance(item.source, bytes)]
    assert sizes == [(600, 300), (150, 300)]
    assert items[0].detail == "600x300"


def test_a_dropped_document_gives_all_its_pages(document: Path) -> None:
    waiting = WaitingMedia()
    waiting.add_typed(str(document))
    assert waiting.names == ["a report.pdf:1", "a report.pdf:2", "a report.pdf:3"]
    waiting.take()
    waiting.add_typed(f"{document}:2", kind="pdf")
    assert waiting.names == ["a report.pdf:2"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.pdf", ("a.pdf", None)),
        ("a.pdf:3", ("a.pdf", "3")),
        ("a.pdf:1,3-5,7-", ("a.pdf", "1,3-5,7-")),
        ("/x:y/a.pdf", ("/x:y/a.pdf", None)),
        (":3", (":3", None)),
    ],
)
def test_pages_stand_behind_a_colon(text: str, expected: tuple[str, str | None]) -> None:
    assert split_pages(text) == expected


def test_page_numbers_keep_their_order() -> None:
    assert page_numbers("1,3-4,2-", num_pages=4, name="a") == [1, 3, 4, 2, 3, 4]
    assert page_numbers(None, num_pages=3, name="a") == [1, 2, 3]


@pytest.mark.parametrize("pages", ["0", "4", "3-2", "1-9"])
def test_pages_that_are_not_there_are_refused(pages: str) -> None:
    with pytest.raises(MediaError, match="from 1 to 3"):
        page_numbers(pages, num_pages=3, name="a.pdf")


def test_a_whole_book_is_refused_with_a_way_out() -> None:
    with pytest.raises(MediaError, match=r"300 pages.*a\.pdf:1-10"):
        page_numbers(None, num_pages=300, name="a.pdf")


def test_a_broken_document_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.pdf").write_bytes(b"%PDF-1.4 nothing")
    with pytest.raises(MediaError, match=r"x\.pdf: the PDF cannot be read"):
        read_pages(tmp_path / "x.pdf", name="x.pdf")
