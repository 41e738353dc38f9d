"""Bring Ollama's messages into OpenAI's shape, which the media door and the engine take.

In: messages with `images`, `thinking`, `tool_calls` whose arguments are objects, and `tool_name`. Out: messages whose
pictures, and videos, are parts before the text, as Ollama places them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edge.prompt.media.heads import is_video_text
from edge.server.errors import ApiError

Json = Any
KNOWN = ("role", "content", "thinking", "images", "tool_calls", "tool_name", "name", "tool_call_id")


def to_messages(messages: Sequence[Json], *, ignored: list[str]) -> list[dict[str, Json]]:
    """Rewrite messages.

    Args:
        messages: As the client wrote them.
        ignored: Keys without effect are added here.

    Raises:
        ApiError: A message has another shape.
    """
    rewritten = []
    for place, message in enumerate(messages):
        where = f"messages[{place}]"
        if not isinstance(message, Mapping):
            raise _wrong(where, f"expected an object with role and content, found {type(message).__name__}")
        ignored += [f"{where}.{key}" for key in message if key not in KNOWN and message[key] is not None]
        rewritten.append(_message(message, where))
    return rewritten


def picture_parts(images: Json, where: str) -> list[dict[str, Json]]:
    """Make parts of pictures in base64, plain or as data URLs; a video, which has no place of its own, may stand there.

    Raises:
        ApiError: They are no list of texts.
    """
    if images is None:
        return []
    if not isinstance(images, list) or not all(isinstance(one, str) and one for one in images):
        raise _wrong(where, "expected a list of pictures in base64")
    for place, one in enumerate(images):
        if one[:8].partition(":")[0].lower() in ("http", "https", "file"):
            raise _wrong(f"{where}[{place}]", "expected a picture in base64, found an address")
    return [_part(one) for one in images]


def _part(text: str) -> dict[str, Json]:
    kind = "video" if is_video_text(text) else "image"
    return {"type": kind, kind: text if text[:5].lower() == "data:" else f"data:;base64,{text}"}


def part_places(images: Json, where: str, *, text: str) -> list[str]:
    """Return where the parts of a message with pictures stand in what the client sent.

    Args:
        images: The pictures, of a shape that `picture_parts` takes.
        where: Their place.
        text: That of the text behind them.
    """
    return [*(f"{where}[{index}]" for index in range(len(images))), text] if images else []


def _message(message: Mapping[str, Json], where: str) -> dict[str, Json]:
    text = message.get("content")
    if text is not None and not isinstance(text, str):
        raise _wrong(f"{where}.content", f"expected text, found {type(text).__name__}; pictures go into images")
    pictures = picture_parts(message.get("images"), f"{where}.images")
    content = [*pictures, {"type": "text", "text": text or ""}] if pictures else text or ""
    rewritten: dict[str, Json] = {"role": message.get("role"), "content": content}
    if message.get("thinking"):
        rewritten["reasoning_content"] = message["thinking"]
    calls = message.get("tool_calls")
    if calls:
        rewritten["tool_calls"] = _calls(calls, f"{where}.tool_calls")
    name = message.get("tool_name") or message.get("name")
    if isinstance(name, str):
        rewritten["name"] = name
    if isinstance(message.get("tool_call_id"), str):
        rewritten["tool_call_id"] = message["tool_call_id"]
    return rewritten


def _calls(calls: Json, where: str) -> list[dict[str, Json]]:
    if not isinstance(calls, list):
        raise _wrong(where, f"expected a list, found {type(calls).__name__}")
    rewritten = []
    for place, call in enumerate(calls):
        function = call.get("function") if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise _wrong(f"{where}[{place}]", "expected a function with a name and arguments")
        # An object goes to the template as it is; text is taken too, as OpenAI's programs write it.
        arguments = {} if function.get("arguments") is None else function["arguments"]
        entry = {"type": "function", "function": {"name": function["name"], "arguments": arguments}}
        rewritten.append(entry if not isinstance(call.get("id"), str) else {"id": call["id"], **entry})
    return rewritten


def _wrong(where: str, why: str) -> ApiError:
    return ApiError("invalid_request", f"{where}: {why}.", param=where)
