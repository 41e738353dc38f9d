"""Name the places of errors as the client wrote them.

Protocols rewrite what clients send into messages of one shape: system texts come first and are joined, results of
tools become messages of their own. An error names the message that was made; its reader looks for the one he sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from edge.server.conversation import count_leading
from edge.server.errors import ApiError

Json = Any
NO_NAMES: Mapping[str, str] = {}
_MESSAGE = re.compile(r"messages\[(\d{1,6})\]")
_FIELD = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b")
"""A field's name that is no word of a language, wherever it stands in a text: `max_tokens`, but not `stop`."""
_PART = re.compile(r"messages\[\d{1,6}\]\.content\[\d{1,6}\]")


def joined_places(messages: Sequence[Json], places: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return the places of messages when those of the system at the start are joined into one.

    Args:
        messages: Before they are joined.
        places: Where each stands in what the client sent; None where the client sent them as they are.
    """
    places = [f"messages[{place}]" for place in range(len(messages))] if places is None else places
    count = max(1, count_leading(messages))
    return (*places[:1], *places[count:])


def part_names(messages: Sequence[Json], parts: Sequence[Sequence[str]]) -> dict[str, str]:
    """Return the names of the parts of messages, once those of the system at the start are joined into one.

    Args:
        messages: Before they are joined.
        parts: For each, where the parts of its content stand in what the client sent; none where it has no such parts.
    """
    joined = max(1, count_leading(messages))
    later = enumerate(parts[joined:], start=1)
    first = [(0, parts[0])] if parts and joined == 1 else []
    return {
        f"messages[{place}].content[{index}]": name
        for place, names in (*first, *later)
        for index, name in enumerate(names)
    }


def in_places(
    error: ApiError, places: Sequence[str], names: Mapping[str, str] = NO_NAMES, *, opened: Mapping[str, str] = NO_NAMES
) -> ApiError:
    """Return an error that names what the client sent, in its text and in its `param`.

    A text that does not say which message it speaks of, as of a picture, gets the place: not all protocols have a field
    for it.

    Args:
        error: Names messages by their places in the engine's request, and its fields.
        places: Where each message stands in what the client sent.
        names: Fields of the engine's request that have another name there, parts of messages among them.
        opened: Parts of the engine's messages that moved when media were opened, and where they stood.
    """
    text = _FIELD.sub(lambda found: names.get(found[0], found[0]), _renamed(str(error), opened))
    param = None if error.param is None else _renamed(error.param, opened)
    if param is not None and param in names:
        text = names[param] + text.removeprefix(param) if text.startswith(f"{param}:") else text  # one without "_"
        param = names[param]
    else:
        text = _as_sent(text, places, names)
        param = None if param is None else _as_sent(param, places, names)
    if param is not None and _MESSAGE.match(error.param or "") and not text.startswith(param):
        text = f"{param}: {text}"
    if (text, param) == (str(error), error.param):
        return error
    rest: dict[str, Any] = {"status": error.status, "code": error.code, "retry_s": error.retry_s, "allow": error.allow}
    return ApiError(error.kind, text, param=param, **rest)


def _as_sent(text: str, places: Sequence[str], names: Mapping[str, str]) -> str:
    """Return a text that begins with a part that has a name, or else with a message, with what the client calls it."""
    renamed, found = _renamed(text, names), _MESSAGE.match(text)
    if renamed != text or found is None or int(found[1]) >= len(places):
        return renamed
    return places[int(found[1])] + text[found.end() :]


def _renamed(text: str, names: Mapping[str, str]) -> str:
    """Return a text that begins with a part of a message with that part's other name."""
    found = _PART.match(text)
    return text if found is None else names.get(found[0], found[0]) + text[found.end() :]
