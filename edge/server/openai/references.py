"""Put items that a request names by their ids in the place of the names.

Clients of /v1/responses that leave answers with the server, as the AI SDK does, send `{"type": "item_reference", "id":
...}` for items of earlier answers. Left out, a call would be missing before its result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge.server.errors import ApiError
from edge.server.openai.responses_store import ResponseStore

Json = Any


def resolve_references(body: Mapping[str, Json], *, store: ResponseStore, owner: str) -> dict[str, Json]:
    """Return a body whose `input` holds the items themselves.

    Args:
        body: The request's.
        store: Where answers are kept.
        owner: The client; others' items are not found.

    Raises:
        ApiError: An item is not kept here.
    """
    given = body.get("input")
    if not isinstance(given, list) or not any(map(_is_reference, given)):
        return dict(body)
    known = store.items(owner=owner)
    items = []
    for place, item in enumerate(given):
        if _is_reference(item):
            name = item.get("id")
            if not isinstance(name, str) or name not in known:
                raise _not_kept(f"input[{place}]", name)
            item = known[name]
        items.append(item)
    return {**body, "input": items}


def _is_reference(item: Json) -> bool:
    """Tell whether an item is only a name; the type may be left out."""
    if not isinstance(item, Mapping):
        return False
    kind = item.get("type")
    return kind == "item_reference" or (kind is None and {key for key in item if item[key] is not None} == {"id"})


def _not_kept(where: str, name: Json) -> ApiError:
    message = (
        f"{where}: item {str(name)[:80]!r} is not kept here; answers with store false never are, others are forgotten "
        "when the server ends or memory is needed. Send the item itself."
    )
    return ApiError("not_found", message, param=where, code="item_not_found")
