"""Bring a protocol's messages into an order that all chat templates take.

Some templates take one system message only, and leave out or refuse a second; clients send several, as `instructions`
beside messages or in blocks. Those at the start are joined, an empty line between them; later ones stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Json = Any
SYSTEM_ROLES = ("system", "developer")


def join_leading(messages: Sequence[Json]) -> list[Json]:
    """Join the system messages at the start into one."""
    count = count_leading(messages)
    if count < 2:
        return list(messages)
    contents = [message["content"] for message in messages[:count] if message.get("content")]
    return [{"role": "system", "content": _joined(contents)}, *messages[count:]]


def count_leading(messages: Sequence[Json]) -> int:
    """Count the system messages at the start."""
    return next((place for place, message in enumerate(messages) if not _is_system(message)), len(messages))


def _is_system(message: Json) -> bool:
    return (
        isinstance(message, Mapping)
        and message.get("role") in SYSTEM_ROLES
        and isinstance(message.get("content"), str | list | None)
    )


def _joined(contents: Sequence[str | list[Json]]) -> str | list[Json]:
    texts = [content for content in contents if isinstance(content, str)]
    if len(texts) == len(contents):
        return "\n\n".join(texts)
    parts: list[Json] = []
    for content in contents:
        if parts:
            parts.append({"type": "text", "text": "\n\n"})
        parts += [{"type": "text", "text": content}] if isinstance(content, str) else content
    return parts
