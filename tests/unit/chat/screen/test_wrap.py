from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.chat.screen.wrap import WordWrap, cells

TEXT = "The quick brown fox  jumps\nover a\n\nextraordinarily-long-word here  "


def wrapped(pieces: list[str], columns: int = 12) -> str:
    wrap = WordWrap(lambda: columns)
    return "".join(wrap.feed(piece) for piece in pieces) + wrap.finish()


def test_lines_break_between_words() -> None:
    assert wrapped([TEXT]).splitlines() == [
        "The quick",
        "brown fox",
        "jumps",
        "over a",
        "",
        "extraordinarily-long-word",
        "here",
    ]


@pytest.mark.parametrize("cut", range(len(TEXT) + 1))
def test_every_cut_gives_the_same_lines(cut: int) -> None:
    assert wrapped([TEXT[:cut], TEXT[cut:]]) == wrapped([TEXT])


@given(st.lists(st.text(alphabet="ab \n", max_size=8), max_size=12))
def test_no_word_is_lost(pieces: list[str]) -> None:
    assert wrapped(pieces).split() == "".join(pieces).split()


def test_wide_characters_take_two_columns() -> None:
    assert cells("ab") == 2
    assert cells("漢字") == 4
    assert cells("a\x00") == 2
