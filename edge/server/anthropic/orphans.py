"""Refuse results of tools whose call is not in the answer before them, as Anthropic's servers do.

In: messages as the client wrote them, their shape checked. Out: nothing, or an error: the model would read an answer to
a question that nobody put, mostly because the client has cut its history between the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edge.server.errors import ApiError

Json = Any


def refuse_orphans(messages: Sequence[Mapping[str, Json]]) -> None:
    """Refuse a `tool_result` without its `tool_use`; messages of one role in a row count as one.

    Raises:
        ApiError: Names the first.
    """
    ids: set[str] = set()
    was_answer = False
    for place, message in enumerate(messages):
        content, is_answer = message.get("content"), message.get("role") == "assistant"
        ids = set() if is_answer and not was_answer else ids
        was_answer = is_answer
        for index, block in enumerate(content if isinstance(content, list) else ()):
            if is_answer and block.get("type") == "tool_use":
                ids.add(block["id"])
            elif not is_answer and block.get("type") == "tool_result" and block["tool_use_id"] not in ids:
                raise _orphan(f"messages[{place}].content[{index}].tool_use_id", block["tool_use_id"])


def _orphan(where: str, found: str) -> ApiError:
    expected = "expected the id of a tool_use in the assistant's message before it"
    return ApiError("invalid_request", f"{where}: {expected}, found {found[:40]!r}.", param=where)
