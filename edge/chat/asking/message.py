"""Look into messages and typed lines: their text, their pictures, the marks around several lines."""

from __future__ import annotations

from typing import Any

Message = dict[str, Any]  # Any: JSON, checked by edge.prompt
MARK = '"""'


def media_parts(message: Message) -> list[Any]:  # Any: JSON
    """Return the picture and video parts of a message."""
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return [part for part in parts if isinstance(part, dict) and part.get("type") in ("image", "video")]


def without_marks(line: str) -> str:
    """Take off the marks that begin and end a text of several lines."""
    text = line.strip()
    if text.startswith(MARK):
        return text.removeprefix(MARK).removesuffix(MARK).strip("\n")
    return line


def text_of(message: Message) -> str:
    """Return the text of a message, without its pictures."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(part.get("text", "")) for part in parts if isinstance(part, dict) and part["type"] == "text")
