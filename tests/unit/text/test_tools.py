from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

import pytest

from edge.errors import PromptError
from edge.events import ToolCall
from edge.prompt.text.messages import normalise_messages, normalise_tools
from edge.prompt.text.shield import Shield
from edge.prompt.text.template import ChatTemplate
from edge.text.pieces import PieceReader
from edge.text.tools import assistant_message, tool_from_function, tool_result_message
from tests.prompt_parts import VARIANTS, Variant, template

CALL = ToolCall(0, "call_1", "weather", '{"city":  "Par\\u0069s"}')


def weather(city: str, days: int = 3, *, unit: Literal["celsius", "fahrenheit"] = "celsius") -> str:
    """Tell the weather of a city.

    Rain is told in millimetres.

    Args:
        city: Name of the city, with the country
            if there are several: "Paris, France".
        days: Days ahead.

    Returns:
        A table.
    """
    return f"{city} {days} {unit}"


def test_a_function_is_declared_by_its_types_and_its_docstring() -> None:
    assert tool_from_function(weather) == {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Tell the weather of a city.\n\nRain is told in millimetres.",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {
                        "type": "string",
                        "description": 'Name of the city, with the country if there are several: "Paris, France".',
                    },
                    "days": {"type": "integer", "description": "Days ahead.", "default": 3},
                    "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
                },
                "required": ["city"],
            },
        },
    }


def _types(
    a: list[int],
    b: dict[str, float | None],
    c: Sequence[Mapping[str, bool]],
    d: Annotated[str, "a word"],
    e: Literal[1, "x", None],
    f: str | None = None,
    g: list = [],  # type: ignore[type-arg]  # noqa: B006  # what users write
) -> None: ...


def test_types_become_json_schema() -> None:
    declared = tool_from_function(_types)["function"]
    assert declared["description"] == ""
    assert declared["parameters"]["required"] == ["a", "b", "c", "d", "e"]
    assert declared["parameters"]["properties"] == {
        "a": {"type": "array", "items": {"type": "integer"}},
        "b": {"type": "object", "additionalProperties": {"anyOf": [{"type": "number"}, {"type": "null"}]}},
        "c": {"type": "array", "items": {"type": "object", "additionalProperties": {"type": "boolean"}}},
        "d": {"type": "string", "description": "a word"},
        "e": {"enum": [1, "x", None]},
        "f": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "g": {"type": "array"},
    }


class Clock:
    def now(self, zone: str) -> str:
        """Tell the time."""
        return zone


def test_a_bound_method_is_a_tool_without_self() -> None:
    declared = tool_from_function(Clock().now)["function"]
    assert (declared["name"], list(declared["parameters"]["properties"])) == ("now", ["zone"])


def _untyped(a) -> None: ...  # type: ignore[no-untyped-def]


def _stars(*a: str) -> None: ...


def _bytes(a: bytes) -> None: ...


def _keys(a: dict[int, str]) -> None: ...


def _any(a: Any) -> None: ...  # Any: what is refused


def _positional(a: str, /) -> None: ...


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (_untyped, "parameter a: expected a type, found none"),
        (_stars, "expected one that is given by name"),
        (_positional, "expected one that is given by name"),
        (_bytes, "JSON carries as they are, found <class 'bytes'>"),
        (_keys, "dict with str keys"),
        (_any, "found typing.Any"),
        (lambda a: a, "should be a named function"),
    ],
)
def test_a_function_that_json_cannot_call_is_refused(function: Callable[..., object], message: str) -> None:
    with pytest.raises(PromptError, match=message):
        tool_from_function(function)


@pytest.mark.parametrize(
    ("content", "written"),
    [
        ("21 degrees", "21 degrees"),
        ({"t": 21, "in": "°C"}, '{"t": 21, "in": "°C"}'),
        ([1, 2], "[1, 2]"),
        ([], "[]"),
        (None, "null"),
        ([{"type": "text", "text": "a"}], [{"type": "text", "text": "a"}]),
    ],
)
def test_a_result_is_text_or_content_items(content: object, written: object) -> None:
    message = tool_result_message(CALL, content)
    assert message == {"role": "tool", "tool_call_id": "call_1", "name": "weather", "content": written}
    normalise_messages([message], shield=Shield(["<|im_end|>"], [message]))


@pytest.mark.parametrize("content", [b"bytes", {1, 2}, float("nan")])
def test_a_result_that_is_not_json_is_refused(content: object) -> None:
    with pytest.raises(PromptError, match="result of weather should be text or JSON"):
        tool_result_message(CALL, content)


def test_a_plain_answer_has_no_empty_fields() -> None:
    assert assistant_message("yes") == {"role": "assistant", "content": "yes"}


def rendered(chat: ChatTemplate, messages: Sequence[Mapping[str, Any]]) -> str:  # Any: JSON
    shield = Shield(["<|im_end|>"], messages)
    tools = normalise_tools([tool_from_function(weather)], shield=shield)
    normal = normalise_messages(messages, shield=shield).messages
    return shield.remove(chat.render(normal, tools=tools, add_generation_prompt=True))


@pytest.mark.parametrize("variant", VARIANTS)
def test_templates_write_an_answer_with_calls_as_the_model_did(variant: Variant) -> None:
    written = (
        'Looking.\n<tool_call>\n{"name": "weather", "arguments": {"city":  "Par\\u0069s"}}\n</tool_call>\n'
        '<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>'
    )
    reader = PieceReader(starts_in_reasoning=False, stops=[], has_tools=True)
    reader.feed(written)
    answer = assistant_message("Looking.", "Which city?", reader.tool_calls)
    results = [tool_result_message(call, {"t": i}) for i, call in enumerate(reader.tool_calls)]
    text = rendered(template(variant), [{"role": "user", "content": "Weather?"}, answer, *results])
    assert written + "<|im_end|>" in text
    assert '<tool_response>\n{"t": 0}\n</tool_response>\n<tool_response>\n{"t": 1}\n</tool_response>' in text
    assert ("Which city?" in text) == (variant == "thinking")
    assert json.dumps("Days ahead.") in text
