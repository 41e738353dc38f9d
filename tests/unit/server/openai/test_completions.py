from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from edge.events import Event, NoteEvent, ReasoningEvent, TextEvent
from edge.server.arguments import ServerLimits
from edge.server.openai.completions import read_completion_request, stream_completion
from tests.unit.server.conftest import Caller
from tests.unit.server.recorded import PROMPT, RecordedAsking, finish, sent

HEAD = {"id": "cmpl-0", "object": "text_completion", "created": 0, "model": "demo"}


def chunk(text: str, reason: str | None = None, **more: Any) -> Any:
    return {**HEAD, "choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": reason}], **more}


def test_a_stream_equals_the_recorded_one_event_by_event() -> None:
    request = read_completion_request(
        {"prompt": "Hi", "stream": True, "stream_options": {"include_usage": True}}, limits=ServerLimits()
    )
    events: list[Event] = [
        PROMPT,
        ReasoningEvent("<think>"),
        TextEvent("One"),
        NoteEvent("a note"),
        finish("repetition"),
    ]
    asking: Any = RecordedAsking(events)
    usage = {
        "prompt_tokens": 12,
        "completion_tokens": 9,
        "total_tokens": 21,
        "prompt_tokens_details": {"cached_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    assert sent(stream_completion(asking, request)) == [
        chunk("<think>"),
        chunk("One"),
        chunk("", "length", warnings=["a note"]),
        {**HEAD, "choices": [], "usage": usage},
        "[DONE]",
    ]


class EndsBackwards(RecordedAsking):
    """Two answers to each of two prompts; the last ends first, and found the most in the cache."""

    async def events(self) -> AsyncIterator[tuple[int, Event]]:
        for place in (3, 2, 1, 0):
            end = finish()
            yield place, replace(end, usage=replace(end.usage, prompt_tokens=12 + place, cached_tokens=place))


def test_each_prompt_counts_once_as_its_first_answer_found_it() -> None:
    body = {"prompt": ["a", "b"], "n": 2, "stream": True, "stream_options": {"include_usage": True}}
    asking: Any = EndsBackwards(num_choices=4)
    pieces = stream_completion(asking, read_completion_request(body, limits=ServerLimits()))
    usage = sent(pieces)[-2]["usage"]
    assert (usage["prompt_tokens"], usage["total_tokens"]) == (12 + 14, 12 + 14 + 4 * 9)
    assert usage["prompt_tokens_details"] == {"cached_tokens": 0 + 2}


def test_a_raw_prompt_goes_around_the_template(caller: Caller) -> None:
    body = {"prompt": ["I see a red", "Hello"], "max_tokens": 5, "temperature": 0, "n": 2}
    reply = caller.post("/v1/completions", body).json
    assert [choice["index"] for choice in reply["choices"]] == [0, 1, 2, 3]
    assert reply["choices"][0]["text"] == reply["choices"][1]["text"]
    assert reply["usage"]["prompt_tokens"] < 12
    events = caller.post("/v1/completions", {**body, "stream": True, "stream_options": {"include_usage": True}}).events
    streamed = ["", "", "", ""]
    for event in events[:-2]:
        streamed[event["choices"][0]["index"]] += event["choices"][0]["text"]
    assert streamed == [choice["text"] for choice in reply["choices"]]
    assert events[-2]["usage"] | {"prompt_tokens_details": 0} == reply["usage"] | {"prompt_tokens_details": 0}


@pytest.mark.parametrize(
    "fields",
    [
        *({"prompt": None}, {"prompt": []}, {"prompt": [1, 2]}, {"prompt": ""}, {"prompt": "a", "n": 99}),
        *({"prompt": "a", "echo": True}, {"prompt": "a", "suffix": "b"}, {"prompt": "a", "best_of": 3}),
        *({"prompt": "<|image_pad|>"}, {"prompt": "\ud800"}, {"prompt": "a", "logprobs": 99}),
    ],
)
def test_what_there_is_not_is_refused(caller: Caller, fields: dict[str, Any]) -> None:
    assert caller.post("/v1/completions", {"max_tokens": 2, **fields}).status == 400


def test_logprobs_of_what_a_stop_string_took_come_with_the_end(caller: Caller) -> None:
    body = {"prompt": "I see a red", "max_tokens": 8, "temperature": 0, "logprobs": 0}
    text = caller.post("/v1/completions", body).json["choices"][0]["text"]
    body["stop"] = text[1:]
    whole = caller.post("/v1/completions", body).json["choices"][0]
    choices = [one["choices"][0] for one in caller.post("/v1/completions", {**body, "stream": True}).events[:-1]]
    told = [token for one in choices if one["logprobs"] for token in one["logprobs"]["tokens"]]
    assert (whole["text"], whole["finish_reason"]) == (text[:1], "stop")
    assert told == whole["logprobs"]["tokens"]
