"""Name the places of errors as the client wrote them.

Protocols rewrite what clients send into messages of one shape: system texts come first and are joined, results of
tools become messages of their own. An error names the message that was made; its reader looks for the one he sent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from edge.server.conversation import count_leading
from edge.server.errors import ApiError

Json = Any
_MESSAGE = re.compile(r"messages\[(\d{1,6})\]")


def joined_places(messages: Sequence[Json], places: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return the places of messages when those of the system at the start are joined into one.

    Args:
        messages: Before they are joined.
        places: Where each stands in what the client sent; None where the client sent them as they are.
    """
    places = [f"messages[{place}]" for place in range(len(messages))] if places is None else places
    count = max(1, count_leading(messages))
    return (*places[:1], *places[count:])


def in_places(error: ApiError, places: Sequence[str]) -> ApiError:
    """Return an error that names what the client sent, if it begins with the place of a message."""
    found = _MESSAGE.match(str(error))
    if found is None or int(found[1]) >= len(places):
        return error
    text = places[int(found[1])] + str(error)[found.end() :]
    param = error.param and _MESSAGE.sub(lambda one: places[int(one[1])], error.param, count=1)
    return ApiError(error.kind, text, status=error.status, param=param, code=error.code, retry_s=error.retry_s)
