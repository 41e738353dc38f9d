from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from edge.errors import PromptError
from edge.prompt.text import results
from edge.prompt.text.messages import normalise_messages
from edge.prompt.text.shield import Shield

Json = Any
USER = {"role": "user", "content": "Hi"}
NAMES = {"a": "zoom", "b": "zoom", "c": "read"}


def order_results(messages: list[Json]) -> list[Json]:
    return [messages[place] for place in results.order_results(messages)]


def calls(*ids: str) -> Json:
    entries = [{"id": one, "function": {"name": NAMES[one], "arguments": "{}"}} for one in ids]
    return {"role": "assistant", "content": "", "tool_calls": entries}


def result(call_id: str, **more: Json) -> Json:
    return {"role": "tool", "tool_call_id": call_id, "content": f"of {call_id}", **more}


@pytest.mark.parametrize("order", list(permutations("abc")))
def test_results_come_in_the_order_of_their_calls(order: tuple[str, ...]) -> None:
    later = [calls("b", "a"), result("a"), result("b"), USER]
    found = order_results([USER, calls("a", "b", "c"), *map(result, order), *later])
    assert [one["tool_call_id"] for one in found if one["role"] == "tool"] == ["a", "b", "c", "b", "a"]
    assert (len(found), found[0], found[-1]) == (9, USER, USER)


def test_a_name_tells_as_much_where_one_call_has_it() -> None:
    named = [{"role": "tool", "name": "read", "content": "3"}, {"role": "tool", "name": "zoom", "content": "1"}]
    assert order_results([calls("a", "c"), *named])[1:] == named[::-1]
    assert order_results([calls("a", "b", "c"), *named])[1:] == named  # two calls zoom


@pytest.mark.parametrize(
    "messages",
    [
        [calls("a", "b"), result("b"), result("elsewhere")],
        [calls("a"), result("x"), result("a")],
        [result("b"), result("a")],
        [calls("a", "b"), result("b"), USER, result("a")],
        [{"role": "assistant", "tool_calls": [3, 4]}, result("b"), result("a")],
        [{"role": "assistant", "tool_calls": "ab"}, None, 3],
    ],
)
def test_what_cannot_be_told_stays(messages: list[Json]) -> None:
    assert order_results(messages) == messages


def test_pictures_go_with_their_results() -> None:
    shown = [result(one, content=[{"type": "image", "image": f"{one}.png"}]) for one in ("b", "a")]
    messages = [USER, calls("a", "b"), *shown]
    normal = normalise_messages(messages, shield=Shield([], messages))
    assert [item.source for item in normal.media] == ["a.png", "b.png"]


@pytest.mark.parametrize(("wrong", "place"), [(result("b", odd=1), 2), (result("a", content=3), 3)])
def test_errors_name_the_place_where_a_result_was_given(wrong: Json, place: int) -> None:
    given = [USER, calls("a", "b"), result("b"), result("a")]
    given[place] = wrong
    with pytest.raises(PromptError, match=rf"^messages\[{place}\]"):
        normalise_messages(given, shield=Shield([], given))


def test_media_know_the_message_they_were_given_in() -> None:
    shown = [result(one, content=[{"type": "image", "image": f"{one}.png"}]) for one in ("b", "a")]
    messages = [USER, calls("a", "b"), *shown]
    normal = normalise_messages(messages, shield=Shield([], messages))
    expected = [("a.png", "messages[3].content[0]"), ("b.png", "messages[2].content[0]")]
    assert [(item.source, item.where) for item in normal.media] == expected
