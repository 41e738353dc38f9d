"""The official client of Anthropic against the running server, on the embedded demo."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import jsonschema
import pytest

from tests.system.questions import ASK_WEATHER, SCHEMA
from tests.system.server_process import ServerProcess

Client = Any  # anthropic.Anthropic; its types would have plain JSON written as their own
IMAGES = Path(__file__).resolve().parents[2] / "examples" / "images"
WEATHER = {
    "name": "get_weather",
    "description": "Get the weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
OFF = {"type": "disabled"}


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with ServerProcess() as running:
        yield running


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Iterator[Client]:
    with anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0, timeout=120) as one:
        yield one


def image(name: str) -> dict[str, Any]:
    data = base64.b64encode((IMAGES / name).read_bytes()).decode()
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


def user(*parts: Any) -> list[Any]:
    blocks = [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]
    return [{"role": "user", "content": blocks}]


def ask(client: Client, *parts: Any, **fields: Any) -> Any:
    return client.messages.create(**{"model": "demo", "max_tokens": 200, "messages": user(*parts), **fields})


def text_of(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def test_models_are_listed_to_the_end(client: Client) -> None:
    assert [model.id for model in client.models.list()] == ["demo"]


def test_a_text_is_answered_alike_whole_and_streamed(client: Client) -> None:
    whole = ask(client, "Say something.")
    with client.messages.stream(model="demo", max_tokens=200, messages=user("Say something.")) as stream:
        list(stream)
        streamed = stream.get_final_message()
    assert [block.type for block in whole.content] == ["thinking", "text"]
    assert [block.model_dump(exclude_none=True) for block in streamed.content] == [
        block.model_dump(exclude_none=True) for block in whole.content
    ]
    assert (streamed.stop_reason, streamed.usage.output_tokens) == ("end_turn", whole.usage.output_tokens)


def test_a_picture_is_read(client: Client) -> None:
    assert "APPLE" in text_of(ask(client, image("sign.png"), "What does the sign say?"))


def test_two_pictures_are_compared_in_their_order(client: Client) -> None:
    answer = ask(client, image("before.png"), image("after.png"), "What changed between the two pictures?")
    assert text_of(answer) == "The square at the bottom right changed from black to green."


def test_a_video_which_the_protocol_has_not_is_taken_as_a_block(client: Client) -> None:
    data = base64.b64encode((IMAGES.parent / "video" / "appear.mp4").read_bytes()).decode()
    video = {"type": "video", "source": {"type": "base64", "media_type": "video/mp4", "data": data}}
    answer = ask(client, video, "At which second does the shape appear?")
    assert "second" in text_of(answer)
    assert answer.usage.input_tokens > 100


def test_logprobs_which_the_protocol_has_not_are_said_to_be_ignored(client: Client) -> None:
    fields: dict[str, Any] = {
        "model": "demo",
        "max_tokens": 4,
        "messages": user("Hi"),
        "extra_body": {"logprobs": True},
    }
    reply = client.messages.with_raw_response.create(**fields)
    assert reply.headers["x-ignored-fields"] == "logprobs"


def test_a_tool_is_called_and_its_result_used(client: Client) -> None:
    first = ask(client, ASK_WEATHER["content"], tools=[WEATHER])
    call = first.content[-1]
    assert (first.stop_reason, call.type, call.name, call.input) == (
        "tool_use",
        "tool_use",
        "get_weather",
        {"city": "Paris"},
    )
    result = {"type": "tool_result", "tool_use_id": call.id, "content": '{"temperature": 21, "sky": "cloudy"}'}
    history = [*user(ASK_WEATHER["content"]), {"role": "assistant", "content": first.content}, *user(result)]
    last = ask(client, messages=history, tools=[WEATHER])
    assert "21" in text_of(last)
    assert last.stop_reason == "end_turn"


def test_the_clients_tool_runner_comes_to_a_final_answer(client: Client) -> None:
    def get_weather(city: str) -> str:
        """Get the weather of a city."""
        return json.dumps({"temperature": 21, "sky": "sunny", "city": city})

    tool = anthropic.beta_tool(get_weather)
    runner = client.beta.messages.tool_runner(
        model="demo", max_tokens=200, messages=[ASK_WEATHER], tools=[tool], max_iterations=3
    )
    first, last = list(runner)
    assert (first.content[-1].input, last.stop_reason) == ({"city": "Paris"}, "end_turn")
    assert "21" in text_of(last)


def test_a_picture_in_a_tools_result_counts(client: Client) -> None:
    call = {"type": "tool_use", "id": "t1", "name": "get_weather", "input": {"city": "Paris"}}

    def count(*content: Any) -> int:
        result = {"type": "tool_result", "tool_use_id": "t1", "content": list(content)}
        history = [*user("Show it."), {"role": "assistant", "content": [call]}, *user(result)]
        return int(client.messages.count_tokens(model="demo", messages=history).input_tokens)

    text = {"type": "text", "text": "here"}
    assert count(text, image("sign.png")) > count(text) + 8


def test_the_streamed_conversation_equals_the_recorded_one(server: ServerProcess) -> None:
    body = {"model": "demo", "max_tokens": 200, "stream": True, "messages": [ASK_WEATHER], "tools": [WEATHER]}
    with httpx.stream("POST", f"{server.url}/v1/messages", json=body, timeout=120) as reply:
        lines = [line for line in reply.iter_lines() if line and not line.startswith(":")]
    names = [line[7:] for line in lines[::2]]
    events = [json.loads(line[6:]) for line in lines[1::2]]
    assert names == [event["type"] for event in events]
    thoughts = sum(event.get("delta", {}).get("type") == "thinking_delta" for event in events)
    pieces = sum(event.get("delta", {}).get("type") == "input_json_delta" for event in events)
    delta = "content_block_delta"
    recorded = ["message_start", "ping", "content_block_start", *[delta] * thoughts, delta, "content_block_stop"]
    recorded += ["content_block_start", *[delta] * pieces, "content_block_stop", "message_delta", "message_stop"]
    assert names == recorded
    assert events[2] == {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "thinking", "thinking": "", "signature": ""},
    }
    joined = "".join(event["delta"].get("thinking", "") for event in events if event["type"] == delta)
    assert joined == "Tools: get_weather. One call. I call get_weather with city."
    (call,) = [event["content_block"] for event in events if event.get("content_block", {}).get("id")]
    assert (call["type"], call["name"], call["input"]) == ("tool_use", "get_weather", {})
    arguments = "".join(event["delta"].get("partial_json", "") for event in events if event["type"] == delta)
    assert json.loads(arguments) == {"city": "Paris"}
    assert events[-2]["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}


def test_a_tool_is_forced_or_forbidden(client: Client) -> None:
    choice = {"type": "tool", "name": "get_weather"}
    tool = {**WEATHER, "input_schema": {**SCHEMA}}
    forced = ask(client, "Say something.", tools=[tool], tool_choice=choice)
    jsonschema.validate(forced.content[-1].input, SCHEMA)
    forbidden = ask(client, ASK_WEATHER["content"], tools=[WEATHER], tool_choice={"type": "none"})
    assert all(block.type != "tool_use" for block in forbidden.content)


def test_a_schema_is_obeyed(client: Client) -> None:
    answer = ask(client, "Give me JSON.", output_config={"format": {"type": "json_schema", "schema": SCHEMA}})
    jsonschema.validate(json.loads(text_of(answer)), SCHEMA)


def test_a_thought_is_bounded_omitted_or_switched_off(client: Client) -> None:
    short = ask(client, "Say something.", thinking={"type": "enabled", "budget_tokens": 2})
    full = ask(client, "Say something.")
    # The thought is closed after two tokens, with a sentence of its own where there is room for one.
    assert short.content[0].thinking.split()[:2] == full.content[0].thinking.split()[:2]
    assert short.content[0].thinking != full.content[0].thinking
    assert [block.type for block in ask(client, "Say something.", thinking=OFF).content] == ["text"]
    omitted = ask(client, "Say something.", thinking={"type": "adaptive", "display": "omitted"})
    assert (omitted.content[0].type, omitted.content[0].thinking) == ("thinking", "")


def test_a_system_text_and_a_thought_of_another_server_are_taken(client: Client) -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "of another server"}
    history = [
        *user("Hi"),
        {"role": "assistant", "content": [thought, {"type": "text", "text": "Hello"}]},
        *user("So?"),
    ]
    assert ask(client, messages=history, system=[{"type": "text", "text": "Be brief."}]).stop_reason == "end_turn"


def test_an_answer_ends_at_its_limit_and_at_stop_strings(client: Client) -> None:
    assert ask(client, "What do you see?", thinking=OFF, max_tokens=3).stop_reason == "max_tokens"
    text = text_of(ask(client, "What do you see?", thinking=OFF))
    stopped = ask(client, "What do you see?", thinking=OFF, stop_sequences=["see"])
    assert (stopped.stop_reason, stopped.stop_sequence, text_of(stopped)) == (
        "stop_sequence",
        "see",
        text[: text.index("see")],
    )


def test_sampling_fields_beside_the_clients_own_are_taken(client: Client) -> None:
    more = {"temperature": 1.0, "top_p": 0.9, "top_k": 1}
    assert text_of(ask(client, "Say something.", extra_body=more)) == text_of(ask(client, "Say something."))


def test_an_answer_that_was_begun_is_gone_on_with(client: Client) -> None:
    fields: dict[str, Any] = {"thinking": {"type": "disabled"}, "extra_body": {"temperature": 0}}
    whole = text_of(ask(client, "What is 2 + 2?", **fields))
    begun = " ".join(whole.split(" ")[:3])
    messages = [*user("What is 2 + 2?"), {"role": "assistant", "content": begun}]
    rest = text_of(ask(client, **fields, messages=messages))
    assert (begun + rest, bool(rest)) == (whole, True)
    with client.messages.stream(model="demo", max_tokens=200, messages=messages, **fields) as stream:
        assert text_of(stream.get_final_message()) == rest
    with pytest.raises(anthropic.BadRequestError, match="no thought before an answer that was begun"):
        ask(client, messages=messages, thinking={"type": "enabled", "budget_tokens": 50})
    form = {"format": {"type": "json_schema", "schema": {"type": "object"}}}
    with pytest.raises(anthropic.BadRequestError, match=r"messages\[1\]: expected no schema beside it"):
        ask(client, messages=messages, output_config=form)


def test_a_count_of_tokens_equals_the_use(client: Client) -> None:
    question = user(image("sign.png"), "What does the sign say?")
    counted = client.messages.count_tokens(model="demo", messages=question).input_tokens
    usage = ask(client, messages=question, max_tokens=200).usage
    assert counted == usage.input_tokens + usage.cache_read_input_tokens


def test_a_client_that_leaves_frees_its_place(client: Client, server: ServerProcess) -> None:
    form = {"format": {"type": "json_schema", "schema": {"type": "array", "minItems": 3000}}}
    with client.messages.stream(
        model="demo", max_tokens=4000, messages=user("Say something."), output_config=form, thinking=OFF
    ) as stream:
        next(iter(stream.text_stream))
    deadline = time.monotonic() + 20
    while httpx.get(f"{server.url}/health").json()["working"]:
        assert time.monotonic() < deadline, "the answer goes on for nobody"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("fields", "error", "text"),
    [
        ({"model": "nope"}, anthropic.NotFoundError, "model 'nope' not found"),
        ({"max_tokens": 0}, anthropic.BadRequestError, "max_tokens: expected 1"),
        ({"messages": user("word " * 9000)}, anthropic.BadRequestError, "the context holds 8192"),
        ({"messages": user({"type": "image", "source": 3})}, anthropic.BadRequestError, "source: expected type base64"),
        ({"extra_body": {"top_p": 3}}, anthropic.BadRequestError, "top_p"),
    ],
)
def test_errors_have_their_class(client: Client, fields: dict[str, Any], error: Any, text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        ask(client, "x", **fields)
    assert caught.value.body["type"] == "error"


def test_a_key_is_taken_from_either_header() -> None:
    body = {"model": "demo", "max_tokens": 1, "messages": user("Hi")}
    with ServerProcess(extra_environment={"EDGE_API_KEY": "secret"}) as running:
        url = f"{running.url}/v1/messages"
        keys = [{"x-api-key": "secret"}, {"authorization": "Bearer secret"}, {"x-api-key": "wrong"}]
        replies = [httpx.post(url, json=body, headers=one, timeout=60) for one in keys]
    assert [reply.status_code for reply in replies] == [200, 200, 401]
    assert replies[2].json()["error"]["type"] == "authentication_error"
