from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.text.stops import TextSearch


def searched(pieces: Sequence[str], patterns: Sequence[str]) -> tuple[str, str | None]:
    search, text = TextSearch(patterns), ""
    for piece in pieces:
        passed, found, _ = search.feed(piece)
        text += passed
        if found is not None:
            return text, found
    passed, found, _ = search.finish()
    return text + passed, found


@pytest.mark.parametrize(
    ("text", "patterns", "expected"),
    [
        ("hello END more", ["END"], ("hello ", "END")),
        ("hello EN", ["END"], ("hello EN", None)),
        ("aab", ["ab"], ("a", "ab")),
        ("ababac", ["abac"], ("ab", "abac")),
        ("x###y", ["##", "###"], ("x", "###")),
        ("x##y", ["###", "##"], ("x", "##")),
        ("x##", ["###", "##"], ("x", "##")),
        ("abcd", ["bc", "abcde"], ("a", "bc")),
        ("no stop", [], ("no stop", None)),
        ("日本語。終", ["。"], ("日本語", "。")),
    ],
)
def test_a_pattern_cuts_the_text_for_every_split_in_two(
    text: str, patterns: list[str], expected: tuple[str, str | None]
) -> None:
    for cut in range(len(text) + 1):
        assert searched([text[:cut], text[cut:]], patterns) == expected
    assert searched(list(text), patterns) == expected


def test_text_that_cannot_be_a_pattern_is_passed_on_at_once() -> None:
    search = TextSearch(["\n\n"])
    assert search.feed("one\n") == ("one", None, "")
    assert search.feed("two") == ("\ntwo", None, "")


def test_what_follows_a_pattern_is_handed_back() -> None:
    assert TextSearch(["."]).feed("a.b.c") == ("a", ".", "b.c")


def test_a_pattern_that_is_passed_over_counts_again_later() -> None:
    search = TextSearch(["<t>"])
    search.pass_over("<t>")
    assert search.feed("<t>a<t>b") == ("<t>a", "<t>", "b")


@given(st.text(alphabet="ab", max_size=12), st.lists(st.text(alphabet="ab", min_size=1, max_size=4), max_size=3))
def test_every_cut_of_a_text_is_searched_alike(text: str, patterns: list[str]) -> None:
    whole = searched([text], patterns)
    for cut in range(len(text) + 1):
        assert searched([text[:cut], text[cut:]], patterns) == whole
    assert searched(list(text), patterns) == whole
