"""Whatever JSON a client sends, the readers of a protocol take it or refuse it in words."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.server.anthropic.request import read_messages_request
from edge.server.arguments import ServerLimits
from edge.server.errors import ApiError
from edge.server.ollama.request import read_chat, read_generate

Json = Any
Read = Callable[..., Any]
WORDS = (
    *("type", "text", "role", "user", "assistant", "tool", "content", "source", "base64", "data", "image", "images"),
    *("tool_result", "tool_use", "tool_use_id", "name", "input", "function", "arguments", "thinking", "document"),
    *("enabled", "budget_tokens", "json_schema", "schema", "format", "effort", "options", "any", "auto", "url"),
)
FIELDS = {
    read_chat: ("messages", "tools", "format", "think", "options", "keep_alive", "stream", "logprobs", "top_logprobs"),
    read_generate: ("prompt", "system", "images", "raw", "suffix", "template", "context", "options", "keep_alive"),
    read_messages_request: (
        *("messages", "system", "tools", "tool_choice", "thinking", "output_config", "output_format", "max_tokens"),
        *("stop_sequences", "temperature", "top_p", "top_k", "stream", "metadata", "model"),
    ),
}
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([10**30, 1e300, -0.5, 2.5])
    | st.sampled_from(WORDS)
    | st.text(max_size=3)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("read", FIELDS, ids=lambda read: read.__name__)
def test_any_json_is_taken_or_refused(read: Read) -> None:
    names = st.sampled_from(FIELDS[read])

    @settings(max_examples=300, deadline=None, database=None)
    @given(st.dictionaries(names, VALUES, max_size=4))
    def check(changes: Mapping[str, Json]) -> None:
        body = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 9, **changes}
        with contextlib.suppress(ApiError):
            read(body, limits=ServerLimits())

    check()
