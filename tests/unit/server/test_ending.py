from __future__ import annotations

from typing import Any

import pytest

from edge.events import FinishEvent, MediaUse, NoteEvent, PromptEvent, TextEvent
from edge.server.ending import Warnings, ending_of
from edge.server.errors import ApiError
from tests.unit.server.conftest import Caller
from tests.unit.server.recorded import EVENTS, finish


@pytest.mark.parametrize(
    ("reason", "ending"),
    [("stop", "stop"), ("length", "length"), ("tool_calls", "tool_calls"), ("repetition", "length")],
)
def test_each_end_has_a_word_that_all_protocols_know(reason: Any, ending: str) -> None:
    assert ending_of(finish(reason)) == ending


def test_half_an_answer_is_no_answer() -> None:
    with pytest.raises(ApiError, match="was cancelled"):
        ending_of(finish("cancelled"))


def use(summary: str, *, is_shrunk: bool) -> MediaUse:
    return MediaUse("image", 16, (10, 10), (8, 8), summary, is_shrunk, False)


def test_hints_shrunk_pictures_and_notes_are_told_in_order() -> None:
    prompt = PromptEvent(1, 0, (use("small", is_shrunk=False), use("shrunk", is_shrunk=True)), ("hint",))
    warnings = Warnings([prompt, TextEvent("x"), NoteEvent("note")])
    warnings.add(finish())
    assert warnings.body == {"warnings": ["hint", "shrunk", "note"]}


def test_the_same_is_said_once_whatever_the_number_of_choices() -> None:
    prompt = PromptEvent(1, 0, (), ("hint",))
    assert Warnings([prompt, NoteEvent("a"), prompt, NoteEvent("a")]).body == {"warnings": ["hint", "a"]}


def test_nothing_to_say_is_no_field() -> None:
    assert Warnings(event for event in EVENTS if not isinstance(event, FinishEvent)).body == {}


WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
QUESTION = {"messages": [{"role": "user", "content": "What is the weather in Paris?"}]}


@pytest.mark.parametrize("max_tokens", [3, 12, 17])
def test_a_forced_call_that_the_limit_cuts_off_is_alike_whole_and_streamed(caller: Caller, max_tokens: int) -> None:
    forced = {"tools": [{"type": "function", "function": WEATHER}], "tool_choice": "required", "temperature": 0}
    body = {**QUESTION, **forced, "max_tokens": max_tokens, "reasoning_effort": "none"}
    (choice,) = caller.post("/v1/chat/completions", body).json["choices"]
    whole = [one["function"]["arguments"] for one in choice["message"].get("tool_calls", [])]
    chunks = [one["choices"][0] for one in caller.post("/v1/chat/completions", {**body, "stream": True}).events[:-1]]
    pieces = [call for one in chunks for call in one["delta"].get("tool_calls", [])]
    assert choice["finish_reason"] == chunks[-1]["finish_reason"] == "length"
    assert len(whole) == (max_tokens > 3)
    assert "".join(whole) == "".join(one["function"]["arguments"] for one in pieces)
    assert (choice["message"]["content"] or "") + "".join(one["delta"].get("content", "") for one in chunks) == ""


def test_no_protocol_shows_the_markup_of_a_call_that_was_cut_off(caller: Caller) -> None:
    responses = {"input": "What is the weather in Paris?", "max_output_tokens": 17, "reasoning": {"effort": "none"}}
    responses |= {"tools": [{"type": "function", **WEATHER}], "tool_choice": "required", "temperature": 0}
    item = caller.post("/v1/responses", responses).json["output"][-1]
    assert (item["type"], item["status"]) == ("function_call", "incomplete")
    schema = {"name": WEATHER["name"], "input_schema": WEATHER["parameters"]}
    message = {**QUESTION, "max_tokens": 17, "tools": [schema], "tool_choice": {"type": "any"}}
    reply = caller.post("/v1/messages", {**message, "thinking": {"type": "disabled"}, "temperature": 0}).json
    assert ([block["type"] for block in reply["content"]], reply["stop_reason"]) == (["tool_use"], "max_tokens")
    assert item["arguments"].startswith("{")
    chat = {**QUESTION, "tools": [{"type": "function", "function": WEATHER}], "tool_choice": "required"}
    chat |= {"think": False, "options": {"num_predict": 17, "temperature": 0}, "stream": False}
    line = caller.post("/api/chat", chat).json
    assert (line["message"], line["done_reason"]) == ({"role": "assistant", "content": ""}, "length")
