"""The streams of OpenAI's two protocols on the wire: the same conversation, compared event by event with the record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from edge.server.arguments import ServerOptions
from edge.server.running import BackgroundServer
from tests.system.questions import ASK_WEATHER, WEATHER

Json = Any
THOUGHT = "Tools: get_weather. One call. I call get_weather with city."
ARGUMENTS = {"city": "Paris"}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with BackgroundServer(ServerOptions(port=0, models=("demo",))) as running:
        yield running.url


def events_of(url: str, path: str, body: Json) -> list[tuple[str | None, Json]]:
    """Return the names and data of a stream's events."""
    with httpx.stream("POST", url + path, json={"model": "demo", "stream": True, **body}, timeout=120) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        text = reply.read().decode()
    found: list[tuple[str | None, Json]] = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        data = fields["data"]
        found.append((fields.get("event"), data if data == "[DONE]" else json.loads(data)))
    return found


def merged(kinds: list[str]) -> list[str]:
    """Leave one of each run of the same kind: how many pieces a text comes in is the tokenizer's matter."""
    return [kind for place, kind in enumerate(kinds) if place == 0 or kinds[place - 1] != kind]


def test_a_chat_completion_streams_the_recorded_events(url: str) -> None:
    body = {"messages": [ASK_WEATHER], "tools": [WEATHER], "temperature": 0, "stream_options": {"include_usage": True}}
    events = events_of(url, "/v1/chat/completions", body)
    assert {name for name, _ in events} == {None}
    assert events[-1][1] == "[DONE]"
    *chunks, counts = [data for _, data in events[:-1]]
    head = {key: chunks[0][key] for key in ("id", "object", "created", "model")}
    assert (head["object"], head["model"]) == ("chat.completion.chunk", "demo")
    assert all(chunk.items() >= head.items() for chunk in (*chunks, counts))
    choices = [chunk["choices"] for chunk in chunks]
    assert all(len(one) == 1 and one[0]["index"] == 0 for one in choices)
    assert [one[0]["finish_reason"] for one in choices] == [None] * (len(choices) - 1) + ["tool_calls"]
    deltas = [one[0]["delta"] for one in choices]
    assert merged(["+".join(delta) for delta in deltas]) == ["role+content", "reasoning_content", "tool_calls", ""]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == THOUGHT
    first, *rest = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
    assert first.pop("id").startswith("call_")
    assert first == {"index": 0, "type": "function", "function": {"name": "get_weather", "arguments": ""}}
    assert all(set(piece) == {"index", "function"} and set(piece["function"]) == {"arguments"} for piece in rest)
    assert json.loads("".join(piece["function"]["arguments"] for piece in rest)) == ARGUMENTS
    assert counts["choices"] == []
    assert counts["usage"]["completion_tokens"] > counts["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0


def test_a_response_streams_the_recorded_events(url: str) -> None:
    tool = {"type": "function", **WEATHER["function"]}  # type: ignore[dict-item]  # an object, as it stands there
    body = {"input": ASK_WEATHER["content"], "tools": [tool], "temperature": 0}
    events = events_of(url, "/v1/responses", body)
    assert [name for name, _ in events] == [data["type"] for _, data in events]
    assert [data["sequence_number"] for _, data in events] == list(range(len(events)))
    summary = [f"response.reasoning_summary_{one}" for one in ("part.added", "text.delta", "text.done", "part.done")]
    arguments = [f"response.function_call_arguments.{one}" for one in ("delta", "done")]
    item = ("response.output_item.added", "response.output_item.done")
    assert merged([data["type"] for _, data in events]) == [
        *("response.created", "response.in_progress"),
        *(item[0], *summary, item[1]),
        *(item[0], *arguments, item[1]),
        "response.completed",
    ]
    deltas = {
        kind: "".join(data["delta"] for _, data in events if data["type"] == kind)
        for kind in (summary[1], arguments[0])
    }
    assert (deltas[summary[1]], json.loads(deltas[arguments[0]])) == (THOUGHT, ARGUMENTS)
    response = events[-1][1]["response"]
    done = [data["item"] for _, data in events if data["type"] == item[1]]
    assert (response["status"], response["output"]) == ("completed", done)
    assert [one["type"] for one in done] == ["reasoning", "function_call"]
    assert [data["item"]["id"] for _, data in events if data["type"] == item[0]] == [one["id"] for one in done]
    assert done[0]["summary"] == [{"type": "summary_text", "text": THOUGHT}]
    assert (done[1]["name"], json.loads(done[1]["arguments"])) == ("get_weather", ARGUMENTS)
