"""Refuse results of tools that no call before them asked for, as OpenAI's servers do.

In: messages of a conversation. Out: nothing, or an error: the model would read an answer to a question that nobody put,
mostly because the client has cut its history between the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edge.server.errors import ApiError

Json = Any


def refuse_orphans(messages: Sequence[Json], *, places: Sequence[str] | None = None, may_be_far: bool = False) -> None:
    """Refuse a result without its call; one without an id, as some programs send it, belongs to the calls before it.

    Args:
        messages: Of any shape; what else is wrong with them is said elsewhere.
        places: What the client calls each, where it did not send them as they are.
        may_be_far: Whether other messages may stand between a call and its result.

    Raises:
        ApiError: Names the first.
    """
    ids: list[Json] = []
    for place, message in enumerate(messages):
        role = message.get("role") if isinstance(message, Mapping) else None
        if role == "assistant":
            ids = [*(ids if may_be_far else []), *_ids_of(message)]
        elif role != "tool":
            ids = ids if may_be_far else []
        elif not ids or not (message.get("tool_call_id") is None or None in ids or message["tool_call_id"] in ids):
            raise _orphan(message, places[place] if places else f"messages[{place}]", may_be_far=may_be_far)


def _ids_of(message: Mapping[str, Json]) -> list[Json]:
    """Return the ids of a message's calls, None for one that has none."""
    calls = message.get("tool_calls")
    return [call.get("id") for call in calls if isinstance(call, Mapping)] if isinstance(calls, list) else []


def _orphan(message: Mapping[str, Json], where: str, *, may_be_far: bool) -> ApiError:
    given = message.get("tool_call_id")
    of_it = "" if given is None else f" with the id {str(given)[:40]!r}"
    call = (
        f"a function_call{of_it} before it" if may_be_far else f"tool_calls{of_it} in the assistant's message before it"
    )
    return ApiError("invalid_request", f"{where}: is a tool's result; expected {call}, found none.", param=where)
