from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.text.json_scan import MAX_DEPTH, JsonScanner, State

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def scanned(text: str) -> tuple[State, int]:
    """Return the state at the end, or at the first fault, and how many characters were taken."""
    scanner = JsonScanner()
    for at, character in enumerate(text):
        if scanner.step(character) is State.BROKEN:
            return State.BROKEN, at
    return scanner.state, len(text)


def is_json(text: str) -> bool:
    try:
        json.loads(text, parse_constant=lambda name: 1 / 0)
    except (ValueError, ZeroDivisionError):
        return False
    return True


@given(JSON, st.booleans(), st.sampled_from([None, 1]))
def test_every_container_of_json_is_done_at_its_last_character(value: object, is_ascii: bool, indent: int) -> None:
    text = json.dumps([value], ensure_ascii=is_ascii, indent=indent)
    assert scanned(text) == (State.DONE, len(text))
    assert scanned(text[:-1])[0] is not State.DONE


@given(JSON, st.integers(0, 60), st.sampled_from('"\\{}[],:0-+.eEtfnu1 \n\tx'))
def test_a_changed_character_is_judged_as_by_the_json_module(value: object, at: int, character: str) -> None:
    text = json.dumps([value])
    at %= len(text)
    text = text[:at] + character + text[at + 1 :]
    assert (scanned(text)[0] is State.DONE) == is_json(text)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("{'a': 1}", 1),
        ('{"a" 1}', 5),
        ('{"a": 1,}', 8),
        ("[1,]", 3),
        ("[NaN]", 1),
        ("[01]", 3),
        ("[1.]", 3),
        ("[trux]", 4),
        ('["a\nb"]', 3),
        ('["\\x"]', 3),
        ('["\\u12g4"]', 6),
        ("[}", 1),
        ("]", 0),
        ("[1] ", 3),
    ],
)
def test_a_fault_is_noticed_where_it_stands(text: str, at: int) -> None:
    assert scanned(text) == (State.BROKEN, at)


def test_nesting_has_a_limit() -> None:
    assert scanned("[" * MAX_DEPTH)[0] is State.FIRST_ITEM
    assert scanned("[" * (MAX_DEPTH + 1)) == (State.BROKEN, MAX_DEPTH)
