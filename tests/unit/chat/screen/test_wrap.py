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


def test_text_without_blanks_is_not_held_back_and_keeps_to_the_width() -> None:
    wrap = WordWrap(lambda: 12, measure=cells)
    shown = [wrap.feed("漢") for _ in range(30)]
    assert all(shown)
    assert max(cells(line) for line in "".join(shown).splitlines()) == 12


def test_a_word_longer_than_the_line_flows_and_is_not_broken() -> None:
    wrap = WordWrap(lambda: 30)
    shown = [wrap.feed("x") for _ in range(100)]
    assert "".join(shown[:30]) == ""
    assert all(shown[30:])
    assert "".join([*shown, wrap.feed(" and on"), wrap.finish()]) == "x" * 100 + " and on"


@given(st.text(alphabet="ab 漢\n", max_size=120), st.integers(0, 120))
def test_every_cut_of_mixed_scripts_gives_the_same_lines(text: str, cut: int) -> None:
    assert wrapped([text[:cut], text[cut:]], columns=25) == wrapped([text], columns=25)
