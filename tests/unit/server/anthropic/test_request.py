from __future__ import annotations

from typing import Any

import pytest

from edge.run.sample import SamplingParams
from edge.server.anthropic.request import MessagesRequest, read_messages_request
from edge.server.arguments import ServerLimits
from edge.server.errors import ApiError

TOOL = {"name": "f", "description": "d", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral"}}


def read(limits: ServerLimits | None = None, **body: Any) -> MessagesRequest:
    body = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "x"}], **body}
    return read_messages_request(body, limits=limits or ServerLimits())


def test_every_option_arrives() -> None:
    request = read(temperature=0.5, top_p=0.9, top_k=3, stop_sequences=["a"], stream=True)
    assert request.sampling.params(SamplingParams()) == SamplingParams(temperature=0.5, top_p=0.9, top_k=3)
    assert (request.stop, request.is_stream, request.max_tokens) == (("a",), True, 100)


def test_a_last_message_of_the_assistant_is_gone_on_with_without_a_thought() -> None:
    messages = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "{"}]
    assert (read(messages=messages).continues_last, read().continues_last) == (True, False)
    with pytest.raises(ApiError, match=r"^thinking.type: expected no thought") as caught:
        read(messages=messages, thinking={"type": "enabled", "budget_tokens": 9})
    assert caught.value.param == "thinking.type"


def test_tools_of_other_servers_are_left_out_and_named() -> None:
    request = read(tools=[TOOL, {"type": "web_search_20250305", "name": "web_search"}])
    function = {"name": "f", "description": "d", "parameters": {"type": "object"}}
    assert request.tools.declared == ({"type": "function", "function": function},)
    assert request.ignored == ("tools[1].type=web_search_20250305",)


def test_a_tool_whose_calls_must_obey_its_schema_stays_one() -> None:
    (tool,) = read(tools=[{**TOOL, "strict": True}]).tools.declared
    assert tool["function"]["strict"] is True
    with pytest.raises(ApiError, match=r"^tools\[0\].strict: expected true or false"):
        read(tools=[{**TOOL, "strict": "yes"}])


@pytest.mark.parametrize(
    ("choice", "found", "is_parallel"),
    [
        (None, "auto", True),
        ({"type": "auto", "disable_parallel_tool_use": True}, "auto", False),
        ({"type": "any"}, "required", True),
        ({"type": "tool", "name": "f"}, "f", True),
        ({"type": "none"}, "none", True),
    ],
)
def test_the_choice_of_tools_is_translated(choice: Any, found: str, is_parallel: bool) -> None:
    tools = read(tools=[TOOL], tool_choice=choice).tools
    assert (tools.choice, tools.is_parallel) == (found, is_parallel)


@pytest.mark.parametrize(
    ("body", "budget"),
    [
        ({}, 50),
        ({"max_tokens": 1}, 0),
        ({"thinking": {"type": "disabled"}}, 0),
        ({"thinking": {"type": "enabled", "budget_tokens": 99}}, 99),
        ({"thinking": {"type": "adaptive"}, "max_tokens": 9000, "output_config": {"effort": "low"}}, 1024),
    ],
)
def test_a_thought_is_bounded(body: dict[str, Any], budget: int) -> None:
    assert read(**body).thinking.budget == budget


def test_without_a_limit_of_tokens_there_is_none_for_the_thought() -> None:
    request = read(max_tokens=None)
    assert (request.max_tokens, request.thinking.budget) == (None, None)


def test_a_schema_is_taken_from_both_of_its_places() -> None:
    form = {"type": "json_schema", "schema": {"type": "object"}}
    assert read(output_config={"format": form}).schema == {"type": "object"}
    assert read(output_format=form).schema == {"type": "object"}


def test_what_has_no_effect_is_named_and_what_changes_nothing_is_not() -> None:
    request = read(metadata={"user_id": "u"}, context_management={}, output_config={"odd": 1}, thinking={"odd": 1})
    assert request.ignored == ("context_management", "output_config.odd", "thinking.odd")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"max_tokens": 0}, "max_tokens: expected 1 to 500"),
        ({"max_tokens": 501}, "max_tokens: expected 1 to 500"),
        ({"max_tokens": "x"}, "max_tokens: expected a whole number"),
        ({"stop_sequences": [""]}, "stop_sequences: expected up to 16"),
        ({"thinking": {"type": "enabled", "budget_tokens": 100}}, "thinking.budget_tokens: expected 1 or more"),
        ({"thinking": {"type": "long"}}, "thinking.type: expected one of"),
        ({"tools": [{"name": "f"}]}, r"tools\[0\].input_schema: expected a JSON Schema"),
        ({"tools": [1]}, r"tools\[0\]: expected an object"),
        ({"tool_choice": {"type": "any"}}, "tool_choice.type: expected auto or none"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "g"}}, r"expected a declared tool \(f\)"),
        ({"output_config": {"format": {"type": "xml"}}}, "output_config.format: expected type json_schema"),
        ({"output_config": {"effort": "some"}}, "output_config.effort: expected one of"),
    ],
)
def test_wrong_values_are_refused_by_name(body: dict[str, Any], expected: str) -> None:
    with pytest.raises(ApiError, match=expected):
        read(ServerLimits(answer_tokens=500), **body)
