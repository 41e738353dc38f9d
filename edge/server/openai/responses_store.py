"""Keep responses in memory, so that later ones can go on from them; the oldest go first."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from edge.records import dataclass
from edge.server.errors import ApiError

Json = Any
MAX_RESPONSES = 1000


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response.

    Attributes:
        owner: The client whose it is; others do not find it.
        messages: The conversation up to and with its answer, without instructions.
        body: The object.
        items: The conversation as the client wrote it, without the answer.
    """

    owner: str
    messages: Sequence[Json]
    body: Mapping[str, Json]
    items: Sequence[Mapping[str, Json]] = ()


class ResponseStore:
    """Responses by id; used on one asyncio loop."""

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held_bytes = 0
        self._entries: OrderedDict[str, tuple[StoredResponse, int]] = OrderedDict()

    def keep(self, response: StoredResponse) -> None:
        """Keep a response; one that is too large alone is not kept."""
        counted: set[int] = set()  # messages and items share their texts
        size = sum(size_of(part, counted) for part in (response.messages, response.items, response.body))
        if size > self._max_bytes:
            return
        self._entries[response.body["id"]] = (response, size)
        self._held_bytes += size
        while self._held_bytes > self._max_bytes or len(self._entries) > MAX_RESPONSES:
            self._drop(next(iter(self._entries)))

    def get(self, response_id: str, *, owner: str, param: str | None = None) -> StoredResponse:
        """Return a client's response.

        Raises:
            ApiError: There is none, or it is another client's.
        """
        found = self._entries.get(response_id)
        if found is None or found[0].owner != owner:
            raise ApiError(
                "not_found" if param is None else "invalid_request",
                f"Response {response_id[:80]!r} is not kept here; responses are forgotten when the server ends or "
                "memory is needed. Send the whole conversation as input.",
                param=param,
                code="previous_response_not_found" if param else "response_not_found",
            )
        self._entries.move_to_end(response_id)
        return found[0]

    def items(self, *, owner: str) -> dict[str, Mapping[str, Json]]:
        """Return the items of all answers that are kept for a client, and of what they were asked, by their ids."""
        kept = [response for response, _ in self._entries.values() if response.owner == owner]
        return {item["id"]: item for one in kept for item in (*one.items, *one.body.get("output", ()))}

    def delete(self, response_id: str, *, owner: str) -> None:
        """Forget a client's response; raises as `get`."""
        self.get(response_id, owner=owner)
        self._drop(response_id)

    def _drop(self, response_id: str) -> None:
        self._held_bytes -= self._entries.pop(response_id)[1]


def size_of(value: Json, counted: set[int]) -> int:
    """Estimate the bytes of JSON with pictures as bytes in it.

    Args:
        value: The JSON.
        counted: Which texts were counted already; those of this value are added.
    """
    if isinstance(value, str | bytes):
        size = 50 if id(value) in counted else len(value) + 50
        counted.add(id(value))
        return size
    if isinstance(value, Mapping):
        return sum(size_of(key, counted) + size_of(one, counted) for key, one in value.items()) + 100
    if isinstance(value, list | tuple):
        return sum(size_of(one, counted) for one in value) + 50
    return len(json.dumps(value)) + 20
