from __future__ import annotations

import pytest

from edge.server.openai.said import MAX_CHARACTERS, ignored_headers


@pytest.mark.parametrize(
    ("names", "value"),
    [
        (["a", "b.c"], "a, b.c"),
        ([""], '""'),
        (["a", " "], 'a, ""'),
        (["\tb\r\nX: y", "\u00e9"], "b??X: y, ?"),
        (["x" * (MAX_CHARACTERS - 1), "y"], "x" * (MAX_CHARACTERS - 1) + ","),
        (["x" * (MAX_CHARACTERS - 2), "y"], "x" * (MAX_CHARACTERS - 2) + ","),
    ],
)
def test_names_of_fields_become_a_header_that_can_be_sent(names: list[str], value: str) -> None:
    assert ignored_headers(names) == {"x-ignored-fields": value}


def test_nothing_ignored_is_no_header() -> None:
    assert ignored_headers([]) == {}
