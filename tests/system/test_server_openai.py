"""The official client of OpenAI against the running server, on the embedded demo."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import openai
import pytest
from PIL import Image
from tokenizers import Tokenizer

from edge.loading import demo_folder
from tests.system.questions import SCHEMA, WEATHER
from tests.system.server_process import ServerProcess

Client = Any  # openai.OpenAI; its types would have plain JSON written as their own
IMAGES = Path(__file__).resolve().parents[2] / "examples" / "images"
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tell the weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["Rome", "Oslo"]}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
FLAT_TOOL = {"type": "function", **TOOL["function"]}


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with ServerProcess() as running:
        yield running


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Iterator[Client]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=120) as one:
        yield one


def picture_url(color: str, size: tuple[int, int] = (96, 64)) -> str:
    file = io.BytesIO()
    Image.new("RGB", size, color).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def user(*parts: Any) -> list[Any]:  # Any: messages as the client types them
    content = [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]
    return [{"role": "user", "content": content}]


def sample(name: str) -> dict[str, Any]:
    data = (IMAGES / name).read_bytes()
    return {"type": "image_url", "image_url": {"url": "data:image/png;base64," + base64.b64encode(data).decode()}}


def demo_file(name: str) -> str:
    return (demo_folder() / name).read_text(encoding="utf-8")


def picture(color: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": picture_url(color)}}


def ask(client: Client, *parts: Any, **fields: Any) -> Any:
    fields = {"max_completion_tokens": 12, "temperature": 0, **fields}
    return client.chat.completions.create(model="demo", messages=user(*parts), **fields)


def test_models_are_listed(client: Client) -> None:
    assert [model.id for model in client.models.list()] == ["demo"]
    assert client.models.retrieve("demo").id == "demo"


def test_a_text_is_answered_alike_whole_and_streamed(client: Client) -> None:
    whole = ask(client, "Say something.", max_completion_tokens=40)
    message = whole.choices[0].message
    reasoning, content, usage, reason = "", "", None, None
    for chunk in ask(
        client, "Say something.", max_completion_tokens=40, stream=True, stream_options={"include_usage": True}
    ):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            content += choice.delta.content or ""
            reasoning += getattr(choice.delta, "reasoning_content", None) or ""
            reason = choice.finish_reason or reason
    assert (content, reasoning) == (message.content, getattr(message, "reasoning_content", ""))
    assert reason == whole.choices[0].finish_reason
    assert usage is not None
    assert usage.completion_tokens == whole.usage.completion_tokens
    assert usage.completion_tokens_details.reasoning_tokens == whole.usage.completion_tokens_details.reasoning_tokens


def test_the_second_time_the_prompt_is_cached(client: Client) -> None:
    ask(client, "A question of its own, asked twice.")
    usage = ask(client, "A question of its own, asked twice.").usage
    assert usage.prompt_tokens_details.cached_tokens >= usage.prompt_tokens - 1


def test_a_picture_is_described_and_two_are_compared(client: Client) -> None:
    one = ask(client, sample("scene.png"), "How many circles are there?", max_completion_tokens=200)
    assert one.choices[0].message.content == "There is 1 circle."
    parts = (sample("before.png"), sample("after.png"), "What changed between the two pictures?")
    two = ask(client, *parts, max_completion_tokens=300)
    assert two.choices[0].message.content == "The square at the bottom right changed from black to green."


def test_a_video_is_taken(client: Client) -> None:
    pictures = [picture_url(color) for color in ("red", "green", "blue", "red")]
    still = ask(client, "What happens?", max_completion_tokens=1).usage.prompt_tokens
    videos = [{"type": "video", "video": pictures[:count], "fps": 2} for count in (2, 4)]
    shorter, longer = (ask(client, video, "What happens?").usage.prompt_tokens for video in videos)
    assert still + 4 < shorter < longer  # each pair of frames has a time and tokens of its own
    file = base64.b64encode((IMAGES.parent / "video" / "appear.mp4").read_bytes()).decode()
    part = {"type": "video_url", "video_url": {"url": f"data:video/mp4;base64,{file}"}}
    answer = ask(client, part, "At which second does the shape appear?", max_completion_tokens=200)
    assert "second" in answer.choices[0].message.content


def test_tools_lead_to_a_final_answer(client: Client) -> None:
    messages = user("What is the weather in Paris?")
    fields: dict[str, Any] = {"model": "demo", "tools": [WEATHER], "max_completion_tokens": 200, "temperature": 0}
    first = client.chat.completions.create(messages=messages, **fields)
    message = first.choices[0].message
    assert first.choices[0].finish_reason == "tool_calls"
    assert message.tool_calls
    call = message.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Paris"})
    result = json.dumps({"temperature": 21, "sky": "sunny"})
    messages += [message.model_dump(exclude_none=True), {"role": "tool", "tool_call_id": call.id, "content": result}]
    last = client.chat.completions.create(messages=messages, **fields)
    assert last.choices[0].message.content == "It is sunny in Paris, 21 degrees."
    with_picture = [*messages[:-1], {**messages[-1], "content": [{"type": "text", "text": result}, picture("red")]}]
    seen = client.chat.completions.create(messages=with_picture, **fields)
    assert seen.usage is not None
    assert last.usage is not None
    assert seen.usage.prompt_tokens > last.usage.prompt_tokens


def test_the_clients_own_stream_helper_puts_calls_together(client: Client) -> None:
    with client.chat.completions.stream(
        model="demo", messages=user("Rome?"), tools=[TOOL], tool_choice="required", max_completion_tokens=200,
        temperature=0, reasoning_effort="none", parallel_tool_calls=False,
    ) as stream:  # fmt: skip
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert "tool_calls.function.arguments.done" in kinds
    calls = final.choices[0].message.tool_calls
    assert calls
    assert json.loads(calls[0].function.arguments)["city"] in ("Rome", "Oslo")


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_strict_schema_is_obeyed(client: Client, is_stream: bool) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA}}
    fields = {"response_format": form, "max_completion_tokens": 400, "reasoning_effort": "none"}
    if is_stream:
        chunks = list(ask(client, "Answer.", stream=True, **fields))
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    else:
        text = ask(client, "Answer.", **fields).choices[0].message.content
    jsonschema.validate(json.loads(text), SCHEMA)


def test_thinking_has_a_budget(client: Client) -> None:
    answer = ask(client, "Think.", max_completion_tokens=60, extra_body={"thinking_budget": 5})
    details = answer.usage.completion_tokens_details
    assert 0 < details.reasoning_tokens <= 12
    assert answer.usage.completion_tokens > details.reasoning_tokens


def test_logprobs_are_those_of_the_answers_tokens(client: Client) -> None:
    fields = {"logprobs": True, "top_logprobs": 3, "reasoning_effort": "none", "max_completion_tokens": 24}
    whole = ask(client, "Hi", **fields).choices[0]
    chunks = list(ask(client, "Hi", stream=True, **fields))
    streamed = [entry for chunk in chunks if chunk.choices[0].logprobs for entry in chunk.choices[0].logprobs.content]
    assert [entry.token for entry in streamed] == [entry.token for entry in whole.logprobs.content]
    for entry in whole.logprobs.content:
        assert len(entry.top_logprobs) == 3
        assert entry.logprob == pytest.approx(entry.top_logprobs[0].logprob)
        assert bytes(entry.bytes).decode("utf-8", "replace") == entry.token
    assert whole.message.content == "".join(entry.token for entry in whole.logprobs.content)


def test_several_choices_have_seeds_of_their_own(client: Client) -> None:
    fields = {"n": 3, "temperature": 2, "seed": 7, "max_completion_tokens": 16, "reasoning_effort": "none"}
    first, second = (ask(client, "What can you do?", **fields) for _ in range(2))
    texts = [choice.message.content for choice in first.choices]
    assert texts == [choice.message.content for choice in second.choices]
    assert [choice.index for choice in first.choices] == [0, 1, 2]
    assert len(set(texts)) > 1


def test_a_stop_string_ends_the_answer_and_is_not_in_it(client: Client) -> None:
    whole = ask(client, "Say something.", max_completion_tokens=60, reasoning_effort="none").choices[0].message.content
    stop = whole[len(whole) // 2 :][:2]
    cut = ask(client, "Say something.", max_completion_tokens=60, reasoning_effort="none", stop=[stop]).choices[0]
    assert cut.message.content == whole[: whole.index(stop)]
    assert cut.finish_reason == "stop"


def test_a_bias_forbids_a_token(client: Client) -> None:
    fields = {"logprobs": True, "top_logprobs": 2, "reasoning_effort": "none", "extra_body": {"top_k": 5}}
    first = ask(client, "Hi", **fields).choices[0].logprobs.content[0]
    token_id = Tokenizer.from_str(demo_file("tokenizer.json")).encode(first.token).ids[0]
    biased = ask(client, "Hi", logit_bias={str(token_id): -100}, **fields).choices[0].logprobs.content[0]
    assert biased.token == first.top_logprobs[1].token


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_completion_tokens": 0}, "max_completion_tokens"),
        ({"temperature": -1}, "temperature"),
        ({"n": 100}, "n"),
        ({"logit_bias": {"word": 1}}, "logit_bias"),
        ({"logit_bias": {"999999": 1}}, "logit_bias"),
        ({"stop": [""]}, "stop"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format.json_schema.schema"),
        ({"tool_choice": "required"}, None),
        ({"reasoning_effort": "enormous"}, "reasoning_effort"),
        ({"top_logprobs": 50}, "top_logprobs"),
    ],
)  # fmt: skip
def test_wrong_values_are_refused_by_name(client: Client, fields: dict[str, Any], param: str | None) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, "Hi", **fields)
    assert param is None or refused.value.param == param


def test_wrong_values_are_refused_before_a_stream_begins(client: Client) -> None:
    with pytest.raises(openai.BadRequestError):
        ask(client, "Hi", stream=True, logit_bias={"999999": 1})


def test_other_errors_have_their_classes(client: Client) -> None:
    with pytest.raises(openai.NotFoundError, match="Known here: demo"):
        client.chat.completions.create(model="no-such", messages=user("Hi"))
    with pytest.raises(openai.BadRequestError) as too_long:
        ask(client, "word " * 60_000)
    assert too_long.value.code == "context_length_exceeded"
    with pytest.raises(openai.APIStatusError) as none:
        client.embeddings.create(model="demo", input="Hi")
    assert (none.value.status_code, none.value.code) == (501, "no_embeddings")
    with pytest.raises(openai.BadRequestError, match="image 1"):
        ask(client, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}, "Hi")


def test_a_stream_that_is_closed_frees_its_row(client: Client, server: ServerProcess) -> None:
    stream = ask(client, "Count for ever.", stream=True, max_completion_tokens=1500, extra_body={"stop": []})
    next(iter(stream))
    stream.close()
    deadline = time.monotonic() + 5
    while httpx.get(f"{server.url}/health").json()["working"]:
        assert time.monotonic() < deadline, "the row still works"
        time.sleep(0.02)


def test_a_client_that_leaves_without_a_stream_frees_its_row(client: Client, server: ServerProcess) -> None:
    ends = json.loads(demo_file("generation_config.json"))["eos_token_id"]
    barred = {str(token): -100 for token in ends}
    with pytest.raises(openai.APITimeoutError):
        ask(client, "Count for ever.", max_completion_tokens=1900, timeout=0.3, temperature=1, logit_bias=barred)
    deadline = time.monotonic() + 5
    while httpx.get(f"{server.url}/health").json()["working"]:
        assert time.monotonic() < deadline, "the row still works"
        time.sleep(0.02)


def test_an_answer_that_was_begun_is_gone_on_with_where_that_is_asked(client: Client) -> None:
    whole = ask(client, "What is 2 + 2?", temperature=0, max_completion_tokens=99, reasoning_effort="none")
    said = whole.choices[0].message.content
    begun = " ".join(said.split(" ")[:3])
    messages = [*user("What is 2 + 2?"), {"role": "assistant", "content": begun}]
    words = {"continue_final_message": True, "add_generation_prompt": False}
    rest = client.chat.completions.create(model="demo", messages=messages, temperature=0, extra_body=words)
    message = rest.choices[0].message
    assert (begun + str(message.content), "reasoning_content" in message.model_dump()) == (said, False)
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, "x", extra_body=words)
    assert refused.value.param == "messages[0]"
    with pytest.raises(openai.BadRequestError) as odd:
        ask(client, "x", extra_body={"add_generation_prompt": False})
    assert odd.value.param == "add_generation_prompt"


def test_a_raw_completion_goes_on_with_its_text(client: Client) -> None:
    whole = client.completions.create(model="demo", prompt="Once upon", max_tokens=8, temperature=0, logprobs=2)
    assert whole.usage is not None
    assert whole.usage.completion_tokens <= 8
    streamed = client.completions.create(model="demo", prompt="Once upon", max_tokens=8, temperature=0, stream=True)
    assert "".join(chunk.choices[0].text for chunk in streamed) == whole.choices[0].text
    logprobs = whole.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.tokens
    assert len(logprobs.tokens) == len(logprobs.token_logprobs or [])


def test_responses_go_on_from_each_other(client: Client) -> None:
    first = client.responses.create(model="demo", input="My name is Ada.", max_output_tokens=20, temperature=0)
    assert first.status in ("completed", "incomplete")
    second = client.responses.create(
        model="demo", input="Who am I?", previous_response_id=first.id, max_output_tokens=20, temperature=0
    )
    assert second.usage is not None
    assert first.usage is not None
    assert second.usage.input_tokens > first.usage.input_tokens + 5
    assert client.responses.retrieve(first.id).output == first.output
    listed = list(client.responses.input_items.list(second.id, order="asc", limit=1))  # the client turns the pages
    kinds = [(item.type, getattr(item, "role", "")) for item in listed]
    assert (kinds[0], kinds[-1]) == (("message", "user"), ("message", "user"))
    assert [item.id for item in listed[1:-1]] == [item.id for item in first.output]
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)
    with pytest.raises(openai.BadRequestError) as gone:
        client.responses.create(model="demo", input="Hi", previous_response_id=first.id)
    assert gone.value.code == "previous_response_not_found"


def test_a_streamed_response_has_the_events_that_the_client_needs(client: Client) -> None:
    content = [{"type": "input_image", "image_url": picture_url("red")}, {"type": "input_text", "text": "Color?"}]
    with client.responses.stream(
        model="demo", input=[{"role": "user", "content": content}], max_output_tokens=400, temperature=0,
        reasoning={"effort": "none"}, text={"format": {"type": "json_schema", "name": "a", "schema": SCHEMA}},
    ) as stream:  # fmt: skip
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    jsonschema.validate(json.loads(final.output_text), SCHEMA)


def test_responses_call_tools_and_take_their_results(client: Client) -> None:
    fields: dict[str, Any] = {"model": "demo", "max_output_tokens": 200, "temperature": 0}
    with client.responses.stream(
        input="Rome?", tools=[FLAT_TOOL, {"type": "web_search"}], tool_choice="required",
        reasoning={"effort": "none"}, **fields,
    ) as stream:  # fmt: skip
        for _ in stream:
            pass
        first = stream.get_final_response()
    call = next(item for item in first.output if item.type == "function_call")
    assert json.loads(call.arguments)["city"] in ("Rome", "Oslo")
    parts = [{"type": "input_text", "text": "sunny"}, {"type": "input_image", "image_url": picture_url("yellow")}]
    result = {"type": "function_call_output", "call_id": call.call_id, "output": parts}
    items = [{"role": "user", "content": "Rome?"}, *(item.model_dump() for item in first.output), result]
    by_id = client.responses.create(input=[result], previous_response_id=first.id, tools=[FLAT_TOOL], **fields)
    whole = client.responses.create(input=items, tools=[FLAT_TOOL], **fields)
    assert by_id.output_text == whole.output_text


def test_input_tokens_are_counted_without_an_answer(client: Client) -> None:
    counted = client.responses.input_tokens.count(model="demo", input="How many?").input_tokens
    answered = client.responses.create(model="demo", input="How many?", max_output_tokens=64).usage
    assert answered is not None
    assert counted == answered.input_tokens


def test_sixteen_clients_at_once_get_their_single_answers(client: Client) -> None:
    def one(number: int) -> str:
        parts: list[Any] = ["x" * (7 * number), f"Question {number}?"]
        if number % 4 == 1:
            parts = [picture(("red", "green", "blue", "black")[number // 4]), *parts]
        fields: dict[str, Any] = {"max_completion_tokens": 8 + 3 * number, "seed": number}
        if number % 3 == 0:
            fields |= {"temperature": 1.0, "top_p": 0.9}
        if number % 5 == 2:
            schema = {"name": "a", "strict": True, "schema": SCHEMA}
            fields |= {"response_format": {"type": "json_schema", "json_schema": schema}, "reasoning_effort": "none"}
        message = ask(client, *parts, **fields).choices[0].message
        return f"{getattr(message, 'reasoning_content', '')}|{message.content}"

    single = [one(number) for number in range(16)]
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(one, range(16))) == single
