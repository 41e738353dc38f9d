from __future__ import annotations

import pytest

from edge.chat.asking.message import media_parts, text_of, without_marks


@pytest.mark.parametrize(
    ("line", "text"),
    [('"""a\nb"""', "a\nb"), ('"""\na\n"""', "a"), ("a", "a"), ('say """x"""', 'say """x"""'), ('"""a', "a")],
)
def test_marks_of_several_lines_are_taken_off(line: str, text: str) -> None:
    assert without_marks(line) == text


def test_text_and_pictures_of_a_message() -> None:
    parts = [{"type": "image", "image": "a"}, {"type": "text", "text": "b"}, {"type": "text", "text": "c"}]
    assert text_of({"role": "user", "content": parts}) == "b\nc"
    assert media_parts({"role": "user", "content": parts}) == parts[:1]
    assert text_of({"role": "assistant", "content": "d"}) == "d"
    assert media_parts({"role": "assistant", "content": "d"}) == []
