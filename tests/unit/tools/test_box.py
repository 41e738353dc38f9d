from __future__ import annotations

import json
import time
from typing import Any

import pytest
from PIL import Image as Picture

from edge.errors import RequestError
from edge.events import ToolCall
from edge.tools.box import ToolBox
from edge.tools.tool import ToolResult
from tests.unit.tools.boxes import box_of


def weather(city: str, days: int = 1) -> dict[str, Any]:
    """Tell the weather.

    Args:
        city: Where.
        days: How far ahead.
    """
    return {"city": city, "days": days, "sky": "blue"}


def run(box: ToolBox, name: str, **arguments: Any) -> ToolResult:
    return box.run(ToolCall(0, "call_1", name, json.dumps(arguments)))


def test_a_call_gives_its_result_as_json_text_and_a_message() -> None:
    result = run(box_of([weather]), "weather", city="Köln", days=2)
    assert result.content == '{"city": "Köln", "days": 2, "sky": "blue"}'
    assert result.message() == {
        "role": "tool",
        "tool_call_id": "call_1",
        "name": "weather",
        "content": result.content,
    }
    assert not result.is_error


def test_declarations_are_those_of_the_functions() -> None:
    declared = box_of([weather]).declarations[0]["function"]
    assert (declared["name"], declared["parameters"]["required"]) == ("weather", ["city"])


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("wether", "{}", "there is no tool wether. Tools: weather"),
        ("weather", '{"city": 3}', "city: expected string"),
        ("weather", "{}", "city is missing"),
        ("weather", '{"city": "Rome", "country": "Italy"}', "there is no country"),
        ("weather", "[1]", "no JSON object"),
        ("weather", "{", "no JSON"),
    ],
)
def test_a_wrong_call_becomes_a_result_that_says_so(name: str, arguments: str, said: str) -> None:
    result = box_of([weather]).run(ToolCall(0, "1", name, arguments))
    assert result.is_error
    assert said in result.text


@pytest.mark.parametrize("error", [ValueError("no such city"), SystemExit(3), RecursionError("deep")])
def test_what_a_tool_raises_becomes_its_result(error: BaseException) -> None:
    def fails() -> str:
        """Fail."""
        raise error

    result = run(box_of([fails]), "fails")
    assert result.is_error
    assert result.text == f"Error: {type(error).__name__}: {error}"


def test_a_tool_that_takes_too_long_is_given_up() -> None:
    def sleeps() -> str:
        """Sleep."""
        time.sleep(5)
        return "late"

    started = time.perf_counter()
    result = run(box_of([sleeps], max_seconds=0.05), "sleeps")
    assert "longer than 0.05 s" in result.text
    assert time.perf_counter() - started < 2


def test_a_long_result_is_cut_and_says_so() -> None:
    def talks() -> str:
        """Talk."""
        return "a" * 1000

    assert (
        run(box_of([talks], max_characters=10), "talks").text == "a" * 10 + "\n[cut: the first 10 of 1000 characters]"
    )


def test_consent_is_asked_with_the_call_and_a_refusal_is_a_result() -> None:
    asked: list[str] = []

    def consent(call: ToolCall, tool: Any) -> bool:
        asked.append(f"{tool.origin} {call.name} {call.arguments}")
        return False

    box = ToolBox(consent=consent)
    box.add([weather], origin="my.py")
    result = run(box, "weather", city="Rome")
    assert asked == ['my.py weather {"city": "Rome"}']
    assert "refused" in result.text
    assert run(box, "weather", city=1).is_error
    assert len(asked) == 1


def test_pictures_come_through_as_parts() -> None:
    def draws() -> list[Any]:
        """Draw."""
        return [{"type": "text", "text": "here"}, Picture.new("RGB", (2, 2))]

    box = ToolBox()
    box.add([box_of([weather]).tools[0]])
    draws.__annotations__["return"] = list
    box.add([draws])
    content = run(box, "draws").content
    assert isinstance(content, list)
    assert [part["type"] for part in content] == ["text", "image"]


def test_a_result_that_is_no_json_becomes_an_error() -> None:
    def odd() -> Any:
        """Be odd."""
        return {1, 2}

    assert "neither text nor JSON" in run(box_of([odd]), "odd").text


def test_a_name_that_is_there_twice_is_refused() -> None:
    with pytest.raises(RequestError, match="weather is there twice"):
        box_of([weather, weather])
