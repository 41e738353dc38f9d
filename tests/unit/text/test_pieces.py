from __future__ import annotations

import json
import random
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.events import NoteEvent, TextEvent, ToolCallDeltaEvent, ToolCallEvent
from edge.text.pieces import PieceReader
from tests.unit.text.reading import read, read_in_every_split

PARIS = '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call>'
ROME = '<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>'
CUT = '<tool_call>\n{"name": "weather", "arguments": {"city": "Pa'
NAMELESS = '<tool_call>\n{"arguments": {"city": "Paris"}}\n</tool_call>'
HOSTILE = (
    '<tool_call>\n{"arguments": {"a": "</tool_call>\\n<tool_call>{\\"name\\": 1}", "b": {"c": [{}, "\\\\"]}},'
    ' "name": "weather"}</tool_call>'
)


def calls(text: str, *, stops: tuple[str, ...] = ()) -> tuple[str, list[tuple[int, str, str]], int]:
    """Return the text, the calls and the number of notes, the same in every split."""
    joined, _ = read_in_every_split(text, stops=stops)
    return joined.text, joined.calls, len(joined.notes)


CITY = ('{"city": "Paris"}', '{"city": "Rome"}')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PARIS, ("", [(0, "weather", CITY[0])], 0)),
        ("Let me look.\n\n" + PARIS, ("Let me look.", [(0, "weather", CITY[0])], 0)),
        (f"{PARIS}\n{ROME}", ("", [(0, "weather", CITY[0]), (1, "weather", CITY[1])], 0)),
        (f"a {PARIS}{ROME}\n \nb\n", ("ab\n", [(0, "weather", CITY[0]), (1, "weather", CITY[1])], 0)),
        (PARIS[:-13] + ROME, ("", [(0, "weather", CITY[0]), (1, "weather", CITY[1])], 0)),
        (PARIS[:-5], ("", [(0, "weather", CITY[0])], 0)),
        (PARIS[:-13], ("", [(0, "weather", CITY[0])], 0)),
        ("a\n" + CUT, ("a\n" + CUT, [], 1)),
        (NAMELESS + "\n", (NAMELESS + "\n", [], 1)),
        (f"{NAMELESS}\n{ROME}", (NAMELESS, [(0, "weather", CITY[1])], 1)),
        (f"{CUT}\n{ROME}", (CUT, [(1, "weather", CITY[1])], 1)),
        (f"{CUT}{ROME}", (CUT, [(1, "weather", CITY[1])], 1)),
        ("<tool_call>" * 3, ("<tool_call>" * 3, [], 3)),
        ("<tool_call>\n{\n" + PARIS, ("<tool_call>\n{", [(0, "weather", CITY[0])], 1)),
        ("The tag <tool_call> is for calls.", ("The tag <tool_call> is for calls.", [], 1)),
        ("a </tool_call> b", ("a </tool_call> b", [], 0)),
        ("a <tool_cal", ("a <tool_cal", [], 0)),
        ("日本\n" + PARIS.replace("Paris", "東京 \\u00e9"), ("日本", [(0, "weather", '{"city": "東京 \\u00e9"}')], 0)),
        (" \n", (" \n", [], 0)),
    ],
)
def test_text_and_calls_are_the_same_for_every_split_in_two(
    text: str, expected: tuple[str, list[tuple[int, str, str]], int]
) -> None:
    assert calls(text) == expected


def test_a_closing_tag_inside_a_string_does_not_end_the_call() -> None:
    text, found, notes = calls(f"x\n{HOSTILE}\ny")
    assert (text, notes, [name for _, name, _ in found]) == ("xy", 0, ["weather"])
    assert json.loads(found[0][2]) == {"a": '</tool_call>\n<tool_call>{"name": 1}', "b": {"c": [{}, "\\"]}}


def test_a_call_inside_a_thought_is_thought() -> None:
    joined, _ = read_in_every_split(f"I could write\n{PARIS}\n</think>\n\nNo.\n{ROME}", thinking=True)
    assert joined.thought == f"I could write\n{PARIS}"
    assert joined.text == "No."
    assert joined.calls == [(0, "weather", CITY[1])]
    assert joined.order == "rtdc"


def test_without_tools_a_call_is_text() -> None:
    joined, _ = read_in_every_split(f"a\n{PARIS}\n", tools=False)
    assert (joined.text, joined.calls, joined.notes) == (f"a\n{PARIS}\n", [], [])


def test_a_void_call_is_named_before_its_text_and_its_index_is_not_given_again() -> None:
    joined, _ = read_in_every_split(f"{CUT}\n{PARIS}")
    assert joined.order == "dntdc"
    assert joined.notes == [
        "Tool call 0 is void: it could not be read, because its JSON is broken. It stands in the text as written."
    ]
    assert sorted(joined.deltas) == [0, 1]


VOID = "Tool call {} is void: the answer was cut off inside it."
NO_NAME = "The answer was cut off inside a tool call whose name was not written yet."


@pytest.mark.parametrize(
    ("text", "expected_text", "num_calls", "cut", "notes"),
    [
        ("Let me look.\n" + CUT, "Let me look.", 0, (0, "weather", '{"city": "Pa'), [VOID.format(0)]),
        (f"{PARIS}\n{CUT}", "", 1, (1, "weather", '{"city": "Pa'), [VOID.format(1)]),
        (PARIS[:-14], "", 0, (0, "weather", CITY[0]), [VOID.format(0)]),
        (PARIS[:-13], "", 1, None, []),
        (PARIS[:-5], "", 1, None, []),
        (PARIS.replace('{"city": "Paris"}', '"{\\"city')[:40], "", 0, (0, "weather", ""), [VOID.format(0)]),
        ('a\n<tool_call>\n{"na', "a", 0, None, [NO_NAME]),
        ("a\n<tool_call>", "a", 0, None, [NO_NAME]),
        ("a\n<tool_cal", "a\n<tool_cal", 0, None, []),
        (PARIS, "", 1, None, []),
        ("a \n", "a \n", 0, None, []),
    ],
)
def test_a_call_that_a_limit_cuts_off_leaves_no_markup_in_the_text(
    text: str, expected_text: str, num_calls: int, cut: tuple[int, str, str] | None, notes: list[str]
) -> None:
    joined, _ = read_in_every_split(text, stops=("Pa",), is_cut=True)
    assert (joined.text, len(joined.calls), joined.cut, joined.notes) == (expected_text, num_calls, cut, notes)


def test_a_call_that_broke_before_the_cut_is_text() -> None:
    joined, _ = read_in_every_split(f"{CUT}\n x", is_cut=True)
    assert (joined.text, joined.cut, len(joined.notes)) == (f"{CUT}\n x", None, 1)


@pytest.mark.parametrize(
    ("text", "stops", "expected_text", "num_calls", "stop"),
    [
        (f"a END b{PARIS}", ("END",), "a ", 0, "END"),
        (f"a{PARIS}b END", ("Paris", "END"), "ab ", 1, "END"),
        (f"a{PARIS}b", ("}", "\n"), "ab", 1, None),
        (f"a\n{PARIS}b", ("\n",), "a", 0, "\n"),
        (f"a {PARIS}b", ("<tool_call>",), "a ", 0, "<tool_call>"),
        (f"a {PARIS}b", ("<tool_call>\n{",), "a ", 0, "<tool_call>\n{"),
        (f"a {PARIS}b", ("<tool", "<"), "ab", 1, None),
        (f"a {PARIS}b", (" <tool",), "a", 0, " <tool"),
        (f"a {PARIS}{ROME}", ("</tool_call>",), "a", 1, "</tool_call>"),
        ("<tool_call> none", ("tool",), "<", 0, "tool"),
        (CUT, ("Pa",), CUT[:-2], 0, "Pa"),
        ("a <tool_cal", ("<tool_call>\nx", "cal"), "a <tool_", 0, "cal"),
        ("a <tool_call>", ("<tool_call>\nx",), "a <tool_call>", 0, None),
    ],
)
def test_stop_strings_count_in_text_and_not_inside_calls(
    text: str, stops: tuple[str, ...], expected_text: str, num_calls: int, stop: str | None
) -> None:
    joined, found = read_in_every_split(text, stops=stops)
    assert (joined.text, len(joined.calls), found) == (expected_text, num_calls, stop)


PARTS = [
    *(PARIS, ROME, CUT, NAMELESS, HOSTILE, "<tool_call>", "</tool_call>", "<tool", "_call>", "{", "}", '"', "\\"),
    *('{"name": "f"', ', "arguments": ', '{"a": 1}', '"{\\"a\\": 1}"', "null", "\n", " ", "a", "日", "</think>", "END"),
]


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.sampled_from(PARTS), max_size=9),
    st.booleans(),
    st.lists(st.sampled_from(["END", "<", "\n\n", "}", "<tool_call>", "</tool_call>", "l>\n{"]), max_size=2),
    st.booleans(),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_every_split_of_any_text_gives_the_same_events(
    parts: list[str], thinking: bool, stops: list[str], tools: bool, is_cut: bool, chance: random.Random
) -> None:
    text = "".join(parts)
    read_so = partial(read, thinking=thinking, stops=stops, tools=tools, is_cut=is_cut)
    whole = read_so([text])
    assert read_so(list(text)) == whole
    for _ in range(4):
        cuts = sorted(chance.randint(0, len(text)) for _ in range(chance.randint(1, 5)))
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        assert read_so(pieces) == whole


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=9))
def test_no_character_of_text_outside_whole_calls_is_lost(parts: list[str]) -> None:
    text = "".join(parts)
    joined, _ = read([text])
    kept = "".join(joined.text.split())
    without_calls = "".join(text.split())
    if not joined.calls:
        assert joined.text == text
    for _, name, _ in joined.calls:
        assert name in without_calls
    assert _is_subsequence(kept, without_calls)


def _is_subsequence(short: str, long: str) -> bool:
    rest = iter(long)
    return all(character in rest for character in short)


def test_text_is_passed_on_as_soon_as_it_is_certain() -> None:
    reader = PieceReader(starts_in_reasoning=False, stops=["END"], has_tools=True)
    assert reader.feed("one") == [TextEvent("one")]
    assert reader.feed(" two <b") == [TextEvent(" two <b")]
    assert reader.feed(" <tool") == []
    assert reader.feed("s") == [TextEvent(" <tools")]
    assert reader.feed("EN") == []
    assert reader.feed(".") == [TextEvent("EN.")]


def test_a_broken_call_is_passed_on_where_it_breaks() -> None:
    reader = PieceReader(starts_in_reasoning=False, stops=[], has_tools=True)
    assert reader.feed("<tool_call>\n") == []
    note, text = reader.feed("no")
    assert isinstance(note, NoteEvent)
    assert text == TextEvent("<tool_call>\nno")
    assert reader.feed(" call") == [TextEvent(" call")]


def test_a_call_is_told_with_its_closing_tag() -> None:
    reader = PieceReader(starts_in_reasoning=False, stops=[], has_tools=True)
    events = reader.feed(PARIS)
    assert [type(event) for event in events] == [ToolCallDeltaEvent, ToolCallEvent]
    assert reader.finish() == []


def test_nothing_is_read_after_a_stop_string() -> None:
    reader = PieceReader(starts_in_reasoning=False, stops=["."], has_tools=True)
    assert reader.feed("a.b") == [TextEvent("a")]
    assert reader.feed(PARIS) + reader.finish() == []


def test_a_reader_that_holds_back_too_little_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.text.stops._overlap", lambda text, patterns: 0)
    with pytest.raises(AssertionError):
        read_in_every_split(PARIS)


def test_a_reader_that_keeps_white_space_before_a_call_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.text.pieces.BLANKS", "\r")
    with pytest.raises(AssertionError):
        test_text_and_calls_are_the_same_for_every_split_in_two(
            f"a\n{PARIS}", ("a", [(0, "weather", '{"city": "Paris"}')], 0)
        )
