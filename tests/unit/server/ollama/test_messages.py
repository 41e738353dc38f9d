from __future__ import annotations

from typing import Any

import pytest

from edge.server.errors import ApiError
from edge.server.ollama.messages import to_messages


def test_a_tool_loop_with_a_picture_is_rewritten() -> None:
    ignored: list[str] = []
    call = {"function": {"name": "f", "arguments": {"a": 1}, "index": 0}, "id": "c1"}
    messages = [
        {"role": "user", "content": "look", "images": ["AAAA", "DATA:image/png;base64,BBBB"], "tool_calls": None},
        {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": [call], "odd": 1},
        {"role": "tool", "tool_name": "f", "content": "ok"},
    ]
    assert to_messages(messages, ignored=ignored) == [
        {
            "role": "user",
            "content": [
                {"type": "image", "image": "data:;base64,AAAA"},
                {"type": "image", "image": "DATA:image/png;base64,BBBB"},
                {"type": "text", "text": "look"},
            ],
        },
        {
            "role": "assistant",
            "content": "",
            "reasoning_content": "hm",
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}],
        },
        {"role": "tool", "content": "ok", "name": "f"},
    ]
    assert ignored == ["messages[1].odd"]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("x", r"messages\[0\]: expected an object"),
        (
            {"role": "user", "content": [1]},
            r"messages\[0\].content: expected text, found list; pictures go into images",
        ),
        ({"role": "user", "images": "AAAA"}, r"messages\[0\].images: expected a list"),
        ({"role": "user", "images": [1]}, r"messages\[0\].images: expected a list"),
        ({"role": "assistant", "tool_calls": [{}]}, r"tool_calls\[0\]: expected a function"),
        ({"role": "assistant", "tool_calls": 1}, "tool_calls: expected a list"),
    ],
)
def test_another_shape_is_refused(message: Any, expected: str) -> None:
    with pytest.raises(ApiError, match=expected):
        to_messages([message], ignored=[])
