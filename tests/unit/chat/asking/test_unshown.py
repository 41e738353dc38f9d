from __future__ import annotations

from pathlib import Path

import pytest

from edge.chat.asking.unshown import unshown_lines
from edge.errors import MediaError


def _is_there(path: str) -> bool:
    return path in ("d.png", "main.ts")


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("gone.png what?", "gone.png"),
        ("/gone/a.JPG what?", "/gone/a.JPG"),
        ("what is in (gone.mp4)?", "gone.mp4"),
        ("'my pictures/gone.png' what?", "my pictures/gone.png"),
        ("my\\ gone.png what?", "my gone.png"),
        ("compare d.png and @gone.pdf.", "gone.pdf"),
    ],
)
def test_a_picture_that_is_not_there_is_told(question: str, name: str) -> None:
    lines = unshown_lines(question, exists=_is_there)
    assert lines == [f"{name}: there is no such file; the model gets these words and no picture."]


@pytest.mark.parametrize(
    "question",
    ["what is in d.png?", "explain gone.ts and main.ts", "a .png or a .jpg?", "1/2 of 3.5", "it's", "", "\\"],
)
def test_other_words_are_not(question: str) -> None:
    assert unshown_lines(question, exists=_is_there) == []


def test_an_address_is_told_to_be_downloaded() -> None:
    assert "addresses are not fetched. Download" in unshown_lines("https://example.org/a.png what?")[0]


def test_a_line_that_is_only_a_wrong_path_is_no_question() -> None:
    with pytest.raises(MediaError, match=r"my gone\.png: file not found\. Check the path\."):
        unshown_lines("'my gone.png' ")


def test_a_text_file_is_told_unless_tools_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    assert "no picture, video or PDF. To ask about its text, pipe it in" in unshown_lines(f"sum up {path}.")[0]
    assert unshown_lines(f"sum up {path}.", reads_files=True) == []
