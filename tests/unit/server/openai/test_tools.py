from __future__ import annotations

from typing import Any

import pytest

from edge.server.errors import ApiError
from edge.server.fields import Fields
from edge.server.openai.tools import read_tools

Json = Any
F, G = ({"type": "function", "function": {"name": name}} for name in "fg")


def allow(*names: str, **more: Json) -> Json:
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": tools} | more}


@pytest.mark.parametrize(
    ("choice", "param"),
    [
        (allow("f", "nobody"), "tool_choice.tools"),
        (allow(), "tool_choice.tools"),
        (allow("f", tools="f"), "tool_choice.tools"),
        (allow("f", mode="sometimes"), "tool_choice.mode"),
        (allow("f", mode="f"), "tool_choice.mode"),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": ["f"]}]},
            "tool_choice.tools",
        ),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"function": "nobody"}]}, "tool_choice.tools"),
    ],
)
def test_allowed_tools_that_are_not_there_are_refused_by_name(choice: Json, param: str) -> None:
    with pytest.raises(ApiError) as caught:
        read_tools(Fields({"tools": [F, G], "tool_choice": choice}))
    assert caught.value.param == param


def test_allowed_tools_are_declared_alone() -> None:
    use = read_tools(Fields({"tools": [F, G], "tool_choice": allow("g", mode="required")}))
    assert (use.declared, use.choice) == ((G,), "required")


@pytest.mark.parametrize("wrong", [{"strict": "yes"}, {"description": 5}, {"parameters": "{}"}])
def test_a_tool_of_another_shape_is_refused_in_both_of_its_spellings(wrong: Json) -> None:
    (name,) = wrong
    for tool, where in (
        ({"function": {"name": "f", **wrong}}, "tools[0].function"),
        ({"name": "f", **wrong}, "tools[0]"),
    ):
        with pytest.raises(ApiError) as caught:
            read_tools(Fields({"tools": [tool]}))
        assert caught.value.param == f"{where}.{name}"
