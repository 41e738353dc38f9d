from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.text.thought import ThoughtReader
from tests.unit.text.reading import read, read_in_every_split


@pytest.mark.parametrize("tools", [False, True])
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
        ("\n<think>\n\nrepeated\n</think>\nyes", ("repeated", "yes")),
        ("<think><think>a</think>b", ("<think>a", "b")),
        ("<thin air</think>yes", ("<thin air", "yes")),
        ("<think", ("<think", "")),
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
def test_thought_and_answer_are_the_same_for_every_split_in_two(
    text: str, expected: tuple[str, str], tools: bool
) -> None:
    joined, stop = read_in_every_split(text, thinking=True, tools=tools)
    assert (joined.thought, joined.text, stop) == (*expected, None)
    assert joined.order in ("", "r", "t", "rt")


@given(st.lists(st.sampled_from(["\n", "<", "</", "think>", "</think>", "<think>", "a", "th"]), max_size=8))
def test_any_text_reads_alike_whole_and_by_character(parts: list[str]) -> None:
    text = "".join(parts)
    assert read([text], thinking=True) == read(list(text), thinking=True)


@pytest.mark.parametrize("tools", [False, True])
def test_an_instruct_answer_is_left_as_it_is(tools: bool) -> None:
    text = "\n<think> is a tag, </think> another\n"
    assert read_in_every_split(text, tools=tools)[0].text == text


def test_reasoning_is_passed_on_before_it_is_closed() -> None:
    thought = ThoughtReader()
    assert thought.feed("step one\n") == ("step one", None)
    assert thought.feed("step two") == ("\nstep two", None)
    assert thought.feed("</think>\nyes") == ("", "\nyes")
