from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from edge.server.errors import ApiError
from edge.server.ollama.answer import Heading, Kind, LineWriter
from edge.server.ollama.models import tagged
from tests.unit.server.recorded import CUT_EVENTS, EVENTS, finish

NOW = datetime(2026, 11, 26, 10, 0, 0, 5, UTC)
HEAD = {"model": "demo", "created_at": "2026-11-26T10:00:00.000005Z"}
COUNTS = {
    "load_duration": 2_000_000_000,
    "prompt_eval_count": 12,
    "prompt_eval_duration": 750_000_000,
    "eval_count": 9,
    "eval_duration": 1_500_000_000,
}


def say(done: bool = False, **message: Any) -> dict[str, Any]:
    return {**HEAD, "message": {"role": "assistant", "content": "", **message}, "done": done}


RECORDED_CHAT = [
    say(thinking="I call"),
    say(thinking=" it."),
    say(content="One moment"),
    say(content="."),
    say(tool_calls=[{"id": "call_1", "function": {"index": 0, "name": "get_weather", "arguments": {"city": "Paris"}}}]),
    {**say(done=True), "done_reason": "stop", **COUNTS},
]
RECORDED_GENERATE = [
    {**HEAD, "response": "", "thinking": "I call", "done": False},
    {**HEAD, "response": "", "thinking": " it.", "done": False},
    {**HEAD, "response": "One moment", "done": False},
    {**HEAD, "response": ".", "done": False},
    {**HEAD, "response": "", "done": False},
    {**HEAD, "response": "", "done": True, "done_reason": "stop", **COUNTS},
]


@pytest.mark.parametrize(("kind", "recorded"), [("chat", RECORDED_CHAT), ("generate", RECORDED_GENERATE)])
def test_a_stream_equals_the_recorded_one_line_by_line(kind: Kind, recorded: list[dict[str, Any]]) -> None:
    writer = LineWriter(Heading(kind, "demo", load_s=2.0, now=lambda: NOW))
    lines = [line for line in map(writer.write, EVENTS) if line is not None]
    total = lines[-1].pop("total_duration")
    assert isinstance(total, int)
    assert lines == recorded


@pytest.mark.parametrize(
    ("reason", "done"), [("stop", "stop"), ("length", "length"), ("tool_calls", "stop"), ("repetition", "length")]
)
def test_the_end_is_told_in_ollamas_words(reason: Any, done: str) -> None:
    assert Heading("chat", "demo").last(finish(reason))["done_reason"] == done


def test_half_an_answer_is_no_answer() -> None:
    with pytest.raises(ApiError, match="was cancelled"):
        LineWriter(Heading("chat", "demo")).write(finish("cancelled"))


def test_a_name_gets_a_tag_once() -> None:
    assert (tagged("demo"), tagged("qwen:8b")) == ("demo:latest", "qwen:8b")


def test_a_call_that_was_cut_off_is_no_call() -> None:
    writer = LineWriter(Heading("chat", "demo"))
    (line,) = [line for line in map(writer.write, CUT_EVENTS) if line is not None]
    assert line["message"] == {"role": "assistant", "content": ""}
    assert (line["done"], line["done_reason"], line["warnings"]) == (True, "length", ["Tool call 0 is void."])
