"""List what a kept response was asked: the items of its conversation, page by page.

In: `input` as a client wrote it. Out: items with a type and an id each, and pages of them. A text becomes a message of
one part. What was left out of the prompt, as items of tools that are not had here, is listed all the same.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from edge.server.errors import ApiError

Json = Any
Item = Mapping[str, Json]
PREFIXES = {"message": "msg", "reasoning": "rs", "function_call": "fc", "function_call_output": "fco"}
MAX_PAGE = 100
DEFAULT_PAGE = 20
ORDERS = ("asc", "desc")


def listed_items(given: str | Sequence[Item] | None, *, before: Sequence[Item] = ()) -> list[Item]:
    """Return the items of a conversation.

    Args:
        given: `input`, its shape checked.
        before: Items of the conversation that it goes on from.

    Returns:
        Those and these, each with an id that no other has.
    """
    items = list(before)
    known = {item["id"] for item in items}
    for one in [{"role": "user", "content": given}] if isinstance(given, str) else given or ():
        item = _listed(one)
        if item["id"] in known:
            item["id"] = _new_id(item["type"])
        known.add(item["id"])
        items.append(item)
    return items


def page_of(items: Sequence[Item], query: Mapping[str, str]) -> dict[str, Json]:
    """Return the page of a list that a client asks for; the newest come first unless it says otherwise.

    Raises:
        ApiError: `order`, `limit` or `after` is none.
    """
    order, limit = query.get("order", "desc"), query.get("limit", str(DEFAULT_PAGE))
    if order not in ORDERS:
        raise _wrong("order", "asc or desc", order)
    if not (limit.isascii() and limit.isdigit() and len(limit) < 4 and 1 <= int(limit) <= MAX_PAGE):
        raise _wrong("limit", f"1 to {MAX_PAGE}", limit)
    ordered = list(items) if order == "asc" else list(reversed(items))
    start = 0
    if (after := query.get("after")) is not None:
        start = next((place for place, item in enumerate(ordered, start=1) if item["id"] == after), 0)
        if not start:
            raise _wrong("after", "the id of an item of this response", after)
    page = ordered[start : start + int(limit)]
    return {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": start + len(page) < len(ordered),
    }


def _listed(item: Item) -> dict[str, Json]:
    said = {key: value for key, value in item.items() if value is not None}
    kind = said.get("type") or "message"
    name = said.get("id")
    if kind == "message" and isinstance(said.get("content"), str):
        part_kind = "output_text" if said.get("role") == "assistant" else "input_text"
        said["content"] = [{"type": part_kind, "text": said["content"]}]
    return {
        "status": "completed",
        **said,
        "type": kind,
        "id": name if isinstance(name, str) and name else _new_id(kind),
    }


def _new_id(kind: Json) -> str:
    return f"{PREFIXES.get(str(kind), 'item')}_{uuid.uuid4().hex}"


def _wrong(name: str, expected: str, found: str) -> ApiError:
    return ApiError("invalid_request", f"{name}: expected {expected}, found {found[:80]!r}.", param=name)
