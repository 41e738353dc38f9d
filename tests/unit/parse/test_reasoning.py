from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.parse.reasoning import ReasoningParser

Pieces = list[tuple[bool, str]]


def parsed(pieces: Sequence[str], *, thinking: bool = True) -> tuple[str, str]:
    parser = ReasoningParser(starts_in_reasoning=thinking)
    found: Pieces = []
    for piece in pieces:
        found += parser.feed(piece)
    found += parser.finish()
    assert all(text for _, text in found)
    kinds = [is_reasoning for is_reasoning, _ in found]
    assert kinds == sorted(kinds, reverse=True)  # thought first, then answer
    return "".join(t for r, t in found if r), "".join(t for r, t in found if not r)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I see a cat.\n</think>\n\nA cat.", ("I see a cat.", "A cat.")),
        ("thought</think>answer", ("thought", "answer")),
        ("cut off", ("cut off", "")),
        ("cut off\n\n", ("cut off", "")),
        ("cut </thi", ("cut </thi", "")),
        ("</think>\n\nstraight", ("", "straight")),
        ("\n\n</think>\n\nstraight", ("", "straight")),
        ("<think>\nrepeated\n</think>\nyes", ("repeated", "yes")),
        ("<thin air</think>yes", ("<thin air", "yes")),
        ("<", ("<", "")),
        ("a </think b</think>c", ("a </think b", "c")),
        ("a<</think>c", ("a<", "c")),
        ("one\n\n</thi\n\n</think>two", ("one\n\n</thi", "two")),
        ("para\n\npara\n</think>\nline\n\nline\n", ("para\n\npara", "line\n\nline\n")),
        ("x</think>a</think>b", ("x", "a</think>b")),
        ("日本\n</think>\n\n語", ("日本", "語")),
        ("", ("", "")),
    ],
)
def test_thought_and_answer_are_the_same_for_every_split_in_two(text: str, expected: tuple[str, str]) -> None:
    for cut in range(len(text) + 1):
        assert parsed([text[:cut], text[cut:]]) == expected
    assert parsed(list(text)) == expected


@given(st.lists(st.sampled_from(["\n", "<", "</", "think>", "</think>", "<think>", "a", "th"]), max_size=8))
def test_any_text_parses_alike_whole_and_by_character(parts: list[str]) -> None:
    text = "".join(parts)
    assert parsed([text]) == parsed(list(text))


def test_an_instruct_answer_is_left_as_it_is() -> None:
    text = "\n<think> is a tag, </think> another\n"
    assert parsed([text], thinking=False) == ("", text)
    assert parsed(list(text), thinking=False) == ("", text)


def test_reasoning_is_passed_on_before_it_is_closed() -> None:
    parser = ReasoningParser(starts_in_reasoning=True)
    assert parser.feed("step one\n") == [(True, "step one")]
    assert parser.feed("step two") == [(True, "\nstep two")]
    assert parser.is_reasoning
