from __future__ import annotations

from typing import Any

import pytest

from edge.run.sample import SamplingParams
from edge.server.arguments import ServerLimits, ServerOptions
from edge.server.errors import ApiError
from edge.server.fields import Fields
from edge.server.media import MediaDoor
from edge.server.openai.chat_request import read_chat_request
from edge.server.openai.thinking import Thinking, read_thinking
from edge.server.openai.tools import read_tools
from tests.unit.server.conftest import Caller

MESSAGES = [{"role": "user", "content": "Hi"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


class Fake:
    """An engine, as far as requests go."""

    default_sampling = SamplingParams(temperature=0.7, top_k=20)


def made(**body: Any) -> Any:
    request = read_chat_request({"messages": MESSAGES, **body}, limits=ServerLimits(answer_tokens=100))
    engine: Any = Fake()
    return request.make(engine, door=MediaDoor(ServerOptions()), limits=ServerLimits(answer_tokens=100))


def test_what_is_not_said_is_the_checkpoints() -> None:
    request = made()[0]
    assert request.sampling == Fake.default_sampling
    assert (request.max_tokens, request.allow_files, request.schema) == (100, False, None)


def test_everything_that_is_said_arrives() -> None:
    request = made(
        temperature=0, top_p=0.5, top_k=-1, min_p=0.1, presence_penalty=1, frequency_penalty=-1, repeat_penalty=1.2,
        seed=-1, logit_bias={"5": -100}, max_tokens=7, stop="x", logprobs=True, top_logprobs=2, tools=[TOOL],
        tool_choice={"type": "function", "function": {"name": "f"}}, parallel_tool_calls=False,
        chat_template_kwargs={"add_vision_id": True}, mm_processor_kwargs={"max_pixels": 99, "fps": 1},
    )[0]  # fmt: skip
    assert request.sampling == SamplingParams(0.0, 0.5, 0, 0.1, 1.2, 1.0, -1.0, 2**64 - 1, {5: -100.0})
    assert (request.max_tokens, request.stop, request.top_logprobs) == (7, ("x",), 2)
    assert (request.tools, request.tool_choice, request.parallel_tool_calls) == ((TOOL,), "f", False)
    assert request.template_variables == {"add_vision_id": True}
    assert (request.image.max_pixels, request.video.max_pixels, request.video.fps) == (99, 99, 1)


@pytest.mark.parametrize("wish", [None, True, False])
def test_guessing_is_the_servers_choice_or_the_clients(wish: bool | None) -> None:
    assert made(speculate=wish)[0].speculate is wish
    assert made()[0].speculate is None
    with pytest.raises(ApiError, match="speculate"):
        made(speculate="often")


def test_the_newer_limit_wins_and_the_servers_bounds_it() -> None:
    assert made(max_tokens=7, max_completion_tokens=5)[0].max_tokens == 5
    with pytest.raises(ApiError, match="1 to 100"):
        made(max_completion_tokens=101)


def test_choices_have_seeds_and_cancels_of_their_own() -> None:
    first, second = made(n=2, seed=5)
    assert (first.sampling.seed, second.sampling.seed) == (5, 6)
    assert first.cancel is not second.cancel


@pytest.mark.parametrize(
    ("form", "schema", "grammar"),
    [
        ({"type": "text"}, None, None),
        ({"type": "json_object"}, "json", None),
        ({"type": "json_object", "schema": {"type": "object"}}, {"type": "object"}, None),
        ({"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}, {"type": "object"}, None),
        ({"type": "regex", "regex": "a+"}, None, {"regex": "a+"}),
    ],
)
def test_formats_become_schemas_and_grammars(form: Any, schema: Any, grammar: Any) -> None:
    request = made(response_format=form)[0]
    assert (request.schema, request.grammar) == (schema, grammar)


def test_what_is_not_understood_is_named_and_what_has_no_effect_is_not() -> None:
    body = {"messages": MESSAGES, "user": "me", "new_field": 1, "stream_options": {"odd": 1}}
    body["tools"] = [TOOL, {"type": "web_search"}]
    request = read_chat_request(body, limits=ServerLimits())
    assert request.ignored == ("new_field", "stream_options.odd", "tools[1].type=web_search")


@pytest.mark.parametrize(
    ("body", "budget"),
    [
        ({}, None),
        ({"reasoning_effort": "none"}, 0),
        ({"reasoning_effort": "low"}, 1024),
        ({"reasoning_effort": "high"}, 16384),
        ({"reasoning_effort": "max"}, None),
        ({"thinking": {"type": "disabled"}}, 0),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}, "reasoning_effort": "low"}, 2000),
        ({"enable_thinking": False}, 0),
        ({"chat_template_kwargs": {"enable_thinking": False}}, 0),
        ({"thinking_budget": 12, "enable_thinking": False}, 12),
        ({"reasoning": {"effort": "minimal"}}, 256),
        ({"reasoning_effort": "none", "enable_thinking": True}, None),
        ({"reasoning_effort": "low", "chat_template_kwargs": {"enable_thinking": True}}, 1024),
        ({"reasoning_effort": "none", "thinking": {"type": "enabled"}}, None),
        ({"reasoning": {"max_tokens": 3}, "thinking_budget": -1}, 3),
    ],
)
def test_words_and_numbers_become_a_budget(body: dict[str, Any], budget: int | None) -> None:
    assert read_thinking(Fields(body)).budget == budget


def test_an_effort_leaves_half_of_the_tokens_to_the_answer() -> None:
    assert Thinking(1024).budget_for(100) == 50
    assert Thinking(1024).budget_for(None) == 1024
    assert Thinking(90, is_exact=True).budget_for(100) == 90


@pytest.mark.parametrize(
    ("choice", "expected"),
    [("auto", "auto"), ("none", "none"), ("required", "required"), ({"type": "function", "name": "f"}, "f")],
)
def test_tool_choices_of_both_shapes_are_read(choice: Any, expected: str) -> None:
    assert read_tools(Fields({"tools": [TOOL], "tool_choice": choice})).choice == expected


def test_allowed_tools_narrow_the_declared_ones() -> None:
    other = {"type": "function", "name": "g"}
    choice = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "g"}]}
    use = read_tools(Fields({"tools": [TOOL, other], "tool_choice": choice}))
    assert ([tool["function"]["name"] for tool in use.declared], use.choice) == (["g"], "required")


@pytest.mark.parametrize("choice", ["f", {"type": "function", "function": {"name": "none"}}, 3, {}])
def test_a_choice_that_names_no_tool_is_refused(choice: Any) -> None:
    with pytest.raises(ApiError, match="tool_choice"):
        read_tools(Fields({"tools": [TOOL], "tool_choice": choice}))


def test_zero_keeps_the_likeliest_token_in_all_spellings() -> None:
    assert 0 < made(top_p=0)[0].sampling.top_p < 1e-4


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"reasoning": {"max_tokens": 7}}, Thinking(7, True, "reasoning.max_tokens")),
        (
            {"reasoning": {"max_tokens": 7}, "thinking": {"budget_tokens": 8}},
            Thinking(8, True, "thinking.budget_tokens"),
        ),
        ({"reasoning": {"enabled": False}}, Thinking(0)),
        ({"reasoning": {"summary": "auto", "exclude": True}}, Thinking(ignored=("reasoning.exclude",))),
        ({"thinking": {"type": "enabled", "odd": 1}}, Thinking(ignored=("thinking.odd",))),
    ],
)
def test_words_of_other_servers_about_the_thought_are_taken_or_named(fields: Any, expected: Thinking) -> None:
    assert read_thinking(Fields(fields)) == expected


def test_a_switch_is_true_or_false() -> None:
    with pytest.raises(ApiError, match="enable_thinking: expected true or false"):
        read_thinking(Fields({"enable_thinking": "no"}))


def test_what_a_request_says_in_vain_is_named() -> None:
    calls = [{"type": "function", "function": {"name": "f", "arguments": "{}"}}]
    asked = [{**MESSAGES[0], "name": "Ann"}, {"role": "assistant", "tool_calls": calls}]
    messages = [*asked, {"role": "tool", "name": "f", "content": "x"}]
    body = {"messages": messages, "reasoning": {"exclude": True}}
    request = read_chat_request(body, limits=ServerLimits())
    assert request.ignored == ("reasoning.exclude", "messages[0].name")


def test_another_servers_word_for_going_on_is_refused_with_ours(caller: Caller) -> None:
    begun = {"role": "assistant", "content": "It is", "prefix": True}
    reply = caller.post("/v1/chat/completions", {"messages": [*MESSAGES, begun]})
    assert (reply.status, reply.json["error"]["param"]) == (400, "messages[1].prefix")
    assert '"continue_final_message": true beside messages' in reply.json["error"]["message"]
    told = [*MESSAGES, {"role": "assistant", "content": "Yes", "prefix": False}, *MESSAGES]
    assert "prefix" not in read_chat_request({"messages": told}, limits=ServerLimits()).messages[1]
    reply = caller.post("/v1/responses", {"input": "Hi", "continue_final_message": True})
    assert (reply.status, "/v1/chat/completions" in reply.json["error"]["message"]) == (400, True)


ADDED = {"parsed": {"a": 1}, "reasoning_details": [], "id": "x", "index": 0, "annotations": [], "audio": None}


def test_what_libraries_add_to_an_answer_is_passed_over_and_named() -> None:
    messages = [*MESSAGES, {"role": "assistant", "content": "Yes", **ADDED}, *MESSAGES]
    request = read_chat_request({"messages": messages}, limits=ServerLimits())
    assert request.ignored == tuple(f"messages[1].{key}" for key in ("parsed", "reasoning_details", "id", "index"))
    assert request.messages[1] == {"role": "assistant", "content": "Yes", "annotations": [], "audio": None}


@pytest.mark.parametrize(
    "message",
    [
        *({"role": "user", "content": "Hi", key: ["x"]} for key in ("images", "parsed")),
        *({"role": "assistant", "content": "Yes", key: {"id": "a"}} for key in ("audio", "images", "function_call")),
    ],
)
def test_what_would_be_lost_is_refused(caller: Caller, message: Any) -> None:
    reply = caller.post("/v1/chat/completions", {"messages": [*MESSAGES, message, *MESSAGES], "max_tokens": 1})
    assert (reply.status, reply.json["error"]["param"]) == (400, "messages[1]")


def test_a_typed_answer_is_sent_back_as_its_library_keeps_it(caller: Caller) -> None:
    answer = caller.chat(max_tokens=4).json["choices"][0]["message"]
    kept = {**answer, "parsed": {"a": 1}, "annotations": None, "audio": None, "function_call": None, "tool_calls": None}
    body = {"messages": [*MESSAGES, kept, *MESSAGES], "max_tokens": 1}
    reply = caller.post("/v1/chat/completions", body)
    assert (reply.status, reply.headers["x-ignored-fields"]) == (200, "messages[1].parsed")
