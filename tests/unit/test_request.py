"""A request refuses wrong values where it is made, by the name of the field."""

from __future__ import annotations

import copy
import pickle
import re
import threading
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from edge.errors import RequestError
from edge.options import ImageOptions
from edge.request import Request, check_settings, make_request
from edge.run.sample import SamplingParams

MESSAGES = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("messages", "hi"),
        ("messages", b"hi"),
        ("messages", [None]),
        ("tools", 5),
        ("tools", "x"),
        ("tools", [1]),
        ("tool_choice", ""),
        ("parallel_tool_calls", "no"),
        ("speculate", 1),
        ("grammar", "x"),
        ("sampling", "greedy"),
        ("sampling", {"warmth": 1}),
        ("sampling", {"temperature": "5"}),
        ("max_tokens", "5"),
        ("max_tokens", True),
        ("max_tokens", 0),
        ("stop", ""),
        ("stop", b"end"),
        ("stop", [""]),
        ("thinking_budget", -1),
        ("image", 5),
        ("video", {"speed": 1}),
        ("template_variables", None),
        ("token_ids", 1),
        ("top_logprobs", 21),
        ("allow_files", "no"),
        ("max_visual_tokens", 1.5),
        ("cancel", None),
        ("cancel", "x"),
    ],
)
def test_a_wrong_value_is_refused_by_its_field(field: str, value: Any) -> None:  # Any: that is the point
    with pytest.raises(RequestError) as caught:
        Request(**{"messages": MESSAGES, field: value})
    assert caught.value.field in (field, "temperature")
    assert "\n" not in str(caught.value)


def test_mappings_become_their_classes() -> None:
    request = Request(messages=MESSAGES, sampling={"temperature": 0.5}, image={"max_pixels": 65536})
    assert request.sampling == SamplingParams(temperature=0.5)
    assert request.image == ImageOptions(max_pixels=65536)


def test_a_budget_that_leaves_no_answer_is_refused() -> None:
    with pytest.raises(RequestError, match="no answer would come"):
        Request(messages=MESSAGES, max_tokens=5, thinking_budget=5)


def test_no_tools_are_declared_when_none_may_be_called() -> None:
    tools = [{"type": "function", "function": {"name": "a"}}]
    assert Request(messages=MESSAGES, tools=tools).prompt_tools == tools
    assert Request(messages=MESSAGES, tools=tools, tool_choice="none").prompt_tools is None


def test_bare_tools_are_declared_in_the_shape_that_models_know() -> None:
    bare = {"type": "function", "name": "a", "parameters": {"type": "object"}}
    tools = Request(messages=MESSAGES, tools=[bare]).prompt_tools
    assert tools == [{"type": "function", "function": {"name": "a", "parameters": {"type": "object"}}}]


def test_one_stop_string_may_stand_alone() -> None:
    assert Request(messages=MESSAGES, stop="END").stop == ("END",)


@pytest.mark.parametrize(
    ("name", "advice"),
    [("temperature", 'sampling={"temperature": ...}'), ("max_completion_tokens", "called max_tokens here")],
)
def test_words_of_other_programs_are_told_where_they_belong(name: str, advice: str) -> None:
    with pytest.raises(RequestError, match=re.escape(advice)):
        check_settings({name: 1})


def test_each_request_has_its_own_cancel() -> None:
    assert Request(messages=MESSAGES).cancel is not Request(messages=MESSAGES).cancel
    event = threading.Event()
    assert make_request(MESSAGES, {"cancel": event}).cancel is event


@pytest.mark.parametrize("name", ["max_token", "messages"])
def test_an_unknown_setting_is_named_with_those_there_are(name: str) -> None:
    with pytest.raises(RequestError, match=r"no such setting of a request\. Known: tools") as caught:
        check_settings({"max_tokens": 1, name: 1})
    assert caught.value.field == name


def test_none_counts_as_not_given() -> None:
    """Programs fill in None for what their users left out, as JSON has null."""
    names = [one.name for one in fields(Request) if one.name != "messages"]
    empty = make_request(MESSAGES, dict.fromkeys(names))
    plain = Request(MESSAGES)
    assert replace(empty, cancel=plain.cancel) == plain
    sampling = dict.fromkeys(one.name for one in fields(SamplingParams))
    assert Request([], sampling=sampling | {"top_k": 3}).sampling == SamplingParams(top_k=3)
    assert Request([], image={"max_pixels": None}).image == ImageOptions()


@pytest.mark.parametrize("beside", [{"schema": "json"}, {"grammar": {"regex": "a"}}, {"tool_choice": "required"}])
def test_what_holds_for_whole_answers_is_refused_beside_a_begun_one(beside: Any) -> None:  # Any: fields of Request
    (name,) = beside
    with pytest.raises(RequestError, match=f"continue_last: expected no {name} beside it") as caught:
        Request(messages=[{"role": "assistant", "content": "x"}], continue_last=True, **beside)
    assert caught.value.field == "continue_last"


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_has_its_own_cancel(again: Callable[[Request], Request]) -> None:
    one = Request(messages=MESSAGES, max_tokens=5, sampling={"seed": 1}, image={"max_pixels": 9}, stop="x")
    one.cancel.set()
    other = again(one)
    assert not other.cancel.is_set()
    assert replace(other, cancel=one.cancel) == one


@pytest.mark.parametrize(
    "name", ["max_tokens", "thinking_budget", "answer_tokens", "top_logprobs", "max_visual_tokens"]
)
def test_whole_numbers_of_numpy_are_whole_numbers(name: str) -> None:
    found = getattr(make_request(MESSAGES, {name: np.int64(7)}), name)
    assert (found, type(found)) == (7, int)
    with pytest.raises(RequestError, match=f"^{name}: expected a whole number"):
        make_request(MESSAGES, {name: np.float32(7)})
