from __future__ import annotations

from typing import Any

import pytest

from edge.server.errors import ApiError
from edge.server.fields import Fields
from edge.server.ollama.thinking import Think, read_think


@pytest.mark.parametrize(
    ("value", "think"),
    [
        (None, Think()),
        (True, Think(is_asked=True)),
        (False, Think(budget=0)),
        ("low", Think(1024, is_asked=True)),
        ("max", Think(None, is_asked=True)),
    ],
)
def test_think_is_a_switch_or_a_level(value: Any, think: Think) -> None:
    assert read_think(Fields({"think": value})) == think


@pytest.mark.parametrize("value", ["often", 1, [], {}])
def test_other_values_are_refused(value: Any) -> None:
    with pytest.raises(ApiError, match="think: expected true, false, low"):
        read_think(Fields({"think": value}))


@pytest.mark.parametrize(
    ("budget", "max_tokens", "found"),
    [(None, None, None), (None, 9, 4), (1024, 9, 4), (2, 9, 2), (0, 1, 0), (7, None, 7)],
)
def test_an_answer_keeps_half_of_its_tokens(budget: int | None, max_tokens: int | None, found: int | None) -> None:
    assert Think(budget).budget_for(max_tokens) == found
