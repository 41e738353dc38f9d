from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from edge.request import Request
from edge.server.room import fit_to_context


def engine(prompt_tokens: int) -> Any:  # Any: it counts, and no more is asked of it
    return SimpleNamespace(context_tokens=100, count_tokens=lambda request: prompt_tokens)


@pytest.mark.parametrize(
    ("prompt_tokens", "wanted", "found"),
    [(40, 60, 60), (40, 61, None), (40, 32_000, None), (90, 25, 25), (90, 26, None), (40, None, None)],
)
def test_an_answer_that_has_no_room_ends_with_the_context(prompt_tokens: int, wanted: int | None, found: Any) -> None:
    request = Request(messages=[{"role": "user", "content": "x"}], max_tokens=wanted)
    assert fit_to_context(engine(prompt_tokens), request).max_tokens == found
