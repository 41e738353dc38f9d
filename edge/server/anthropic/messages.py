"""Bring Anthropic's messages into OpenAI's shape, which the media door and the engine take.

In: messages of content blocks, and the system prompt. Out: messages; each tool result becomes a message of its own,
in the place where it stood, pictures included.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from edge.server.errors import ApiError

Json = Any
ATTRIBUTION = "x-anthropic-billing-header:"
"""Claude Code's first system block starts so; it changes with each request, so nothing after it could be reused."""
BLOCKS: Mapping[str, tuple[str, ...]] = {
    "text": ("text", "citations"),
    "image": ("source",),
    "video": ("source",),  # which the protocol has not
    "document": ("source", "title", "context", "citations"),
    "tool_use": ("id", "name", "input", "caller"),
    "tool_result": ("tool_use_id", "content", "is_error"),
    "thinking": ("thinking", "signature"),
    "redacted_thinking": ("data",),
    "search_result": ("source", "title", "content", "citations"),
    "tool_reference": ("tool_name",),
}
"""Kinds of blocks, and what stands in each beside `type` and `cache_control`; other keys have no effect."""
CITABLE = ("document", "search_result")
ELSEWHERE = ("redacted_thinking", "container_upload", "mcp_tool_listing", "fallback")
"""What answers of Anthropic's servers hold beside calls of their own tools; left out of a history, and named."""


WHERE = "where"
"""Key of a part, while messages are rewritten: where it stands in what the client sent."""


def to_messages(
    system: Json,
    messages: Json,
    *,
    ignored: list[str],
    places: list[str] | None = None,
    parts: list[list[str]] | None = None,
) -> list[dict[str, Json]]:
    """Rewrite a conversation.

    Args:
        system: Text, text blocks, or None.
        messages: As the client wrote them.
        ignored: What could not be used is added here.
        places: Where each message of the result stands is added here.
        parts: Where the parts of each stand is added here.

    Raises:
        ApiError: Something has another shape.
    """
    if not isinstance(messages, list) or not messages:
        raise _wrong("messages", "expected a list with at least one message")
    text = _system_text(system)
    rewritten: list[dict[str, Json]] = [{"role": "system", "content": text}] if text else []
    places = [] if places is None else places
    places += ["system"] * len(rewritten)
    names: dict[str, str] = {}
    for place, message in enumerate(messages):
        where = f"messages[{place}]"
        if not isinstance(message, Mapping):
            raise _wrong(where, f"expected an object with role and content, found {type(message).__name__}")
        role = message.get("role")
        if role not in ("user", "assistant", "system"):
            raise _wrong(f"{where}.role", f"expected user or assistant, found {str(role)[:40]!r}")
        blocks = _blocks(message.get("content"), f"{where}.content")
        ignored += _without_effect(blocks, f"{where}.content")
        if role == "assistant":
            rewritten.append(_assistant(blocks, f"{where}.content", names, ignored))
        else:
            rewritten += _user(role, blocks, f"{where}.content", names)
        places += [where] * (len(rewritten) - len(places))
    found = [_take_places(message["content"]) for message in rewritten]
    if parts is not None:
        parts += found
    return rewritten


def _take_places(content: Json) -> list[str]:
    """Take the places out of the parts of a message."""
    return [part.pop(WHERE) for part in content] if isinstance(content, list) else []


def _without_effect(blocks: Sequence[Json], where: str) -> list[str]:
    """Name what stands in blocks and changes nothing, those in tool results included."""
    found = []
    for place, block in enumerate(blocks):
        if not isinstance(block, Mapping):
            continue  # refused later
        here, kind = f"{where}[{place}]", block.get("type")
        if _wants_citations(block):
            found.append(f"{here}.citations")
        if isinstance(kind, str) and kind in BLOCKS:
            known = ("type", "cache_control", *BLOCKS[kind])
            found += [f"{here}.{key}" for key, value in block.items() if key not in known and value is not None]
        inner = block.get("content")
        if kind == "tool_result" and isinstance(inner, list):
            found += _without_effect(inner, f"{here}.content")
    return found


def _wants_citations(block: Mapping[str, Json]) -> bool:
    citations = block.get("citations")
    return block.get("type") in CITABLE and isinstance(citations, Mapping) and citations.get("enabled") is True


def _system_text(system: Json) -> str:
    if system is None or isinstance(system, str):
        return system or ""
    texts = [_text(block, f"system[{place}]") for place, block in enumerate(_blocks(system, "system"))]
    return "\n\n".join(text for text in texts if text and not text.startswith(ATTRIBUTION))


def _user(role: str, blocks: Sequence[Mapping[str, Json]], where: str, names: Mapping[str, str]) -> list[Json]:
    """Split a message where tool results stand in it."""
    messages: list[Json] = []
    parts: list[Json] = []
    for place, block in enumerate(blocks):
        here = f"{where}[{place}]"
        if block.get("type") == "tool_result":
            messages += [{"role": role, "content": parts}] if parts else []
            messages.append(_tool_result(block, here, names))
            parts = []
        else:
            parts += _placed(block, here)
    return [*messages, {"role": role, "content": parts}] if parts or not messages else messages


def _assistant(
    blocks: Sequence[Mapping[str, Json]], where: str, names: dict[str, str], ignored: list[str]
) -> dict[str, Json]:
    texts, thoughts, calls = [], [], []
    for place, block in enumerate(blocks):
        here, kind = f"{where}[{place}]", block.get("type")
        if kind == "text":
            texts.append(_text(block, here))
        elif kind == "thinking":  # its signature says nothing here: any is taken, none is checked
            thoughts.append(_text(block, here, key="thinking"))
        elif kind == "tool_use":
            calls.append(_call(block, here))
            names[calls[-1]["id"]] = calls[-1]["function"]["name"]
        elif kind == "compaction" and isinstance(block.get("content"), str):
            texts.append(_text(block, here, key="content"))
        elif kind in ELSEWHERE or str(kind).endswith(("_tool_use", "_tool_result")):
            ignored.append(f"{here} ({str(kind)[:40]})")
        else:
            raise _wrong(here, f"an answer holds text, thinking and tool_use, found {str(kind)[:40]!r}")
    message: dict[str, Json] = {"role": "assistant", "content": "".join(texts)}
    if any(thoughts):
        message["reasoning_content"] = "".join(thoughts)
    return message | ({"tool_calls": calls} if calls else {})


def _call(block: Mapping[str, Json], where: str) -> dict[str, Json]:
    name, given = block.get("name"), block.get("input")
    if not isinstance(block.get("id"), str) or not isinstance(name, str) or not isinstance(given, Mapping):
        raise _wrong(where, "tool_use needs id, name and input, an object")
    arguments = json.dumps(given, ensure_ascii=False)
    return {"id": block["id"], "type": "function", "function": {"name": name, "arguments": arguments}}


def _tool_result(block: Mapping[str, Json], where: str, names: Mapping[str, str]) -> dict[str, Json]:
    use_id = block.get("tool_use_id")
    if not isinstance(use_id, str):
        raise _wrong(f"{where}.tool_use_id", "expected the id of a tool_use")
    inner = _blocks(block.get("content") or [], f"{where}.content")
    parts = [part for place, one in enumerate(inner) for part in _placed(one, f"{where}.content[{place}]")]
    is_error = block.get("is_error")
    if is_error is not None and not isinstance(is_error, bool):
        raise _wrong(f"{where}.is_error", f"expected true or false, found {str(is_error)[:40]!r}")
    if is_error:  # the template has no place for it, the model reads it
        parts.insert(0, {"type": "text", "text": "Error: ", WHERE: f"{where}.is_error"})
    content: Json = parts
    if all(part["type"] == "text" for part in parts):
        content = "".join(part["text"] for part in parts)
    message = {"role": "tool", "tool_call_id": use_id, "content": content}
    return message | ({"name": names[use_id]} if use_id in names else {})


def _placed(block: Mapping[str, Json], where: str) -> list[dict[str, Json]]:
    """Turn a block into parts that say where they stand."""
    return [{WHERE: where, **part} for part in _parts(block, where)]  # those inside a document have their own


def _parts(block: Mapping[str, Json], where: str) -> list[Json]:
    """Turn a block of a user's message or a tool's result into parts."""
    kind = block.get("type")
    if kind == "text":
        return [{"type": "text", "text": _text(block, where)}]
    if kind == "image":
        return [{"type": "image", "image": _source(block.get("source"), f"{where}.source", "image/png")}]
    if kind == "video":
        return [{"type": "video", "video": _source(block.get("source"), f"{where}.source", "video/mp4")}]
    if kind == "document":
        return _document(block, where)
    if kind == "search_result":
        return _search_result(block, where)
    if kind == "tool_reference":
        return [{"type": "text", "text": _text(block, where, key="tool_name")}]
    raise _wrong(
        where, f"expected a block of type text, image, video, document or tool_result, found {str(kind)[:40]!r}"
    )


def _document(block: Mapping[str, Json], where: str) -> list[Json]:
    """Turn a document into its text, its inner blocks, or a file for the door."""
    source, title = block.get("source"), block.get("title")
    title = title if isinstance(title, str) else ""
    texts = [text for text in (title, block.get("context")) if isinstance(text, str) and text]
    before = [{"type": "text", "text": "\n".join(texts) + "\n"}] if texts else []
    if isinstance(source, Mapping) and source.get("type") == "text":
        return [*before, {"type": "text", "text": _text(source, f"{where}.source", key="data")}]
    if isinstance(source, Mapping) and source.get("type") == "content":
        inner = _blocks(source.get("content"), f"{where}.source.content")
        inside = f"{where}.source.content"
        return [*before, *(part for place, one in enumerate(inner) for part in _placed(one, f"{inside}[{place}]"))]
    data = _source(source, f"{where}.source", "application/pdf")
    return [*before, {"type": "file", "file": {"file_data": data, "filename": title or "document"}}]


def _search_result(block: Mapping[str, Json], where: str) -> list[Json]:
    """Turn a found page into its title, its address and its text."""
    head = "\n".join(_text(block, where, key=key) for key in ("title", "source"))
    inner = _blocks(block.get("content"), f"{where}.content")
    texts = [_text(one, f"{where}.content[{place}]") for place, one in enumerate(inner)]
    return [{"type": "text", "text": "\n".join((head, *texts)) + "\n"}]


def _source(source: Json, where: str, default_type: str) -> str:
    """Return a data URL or an address, which the door may refuse."""
    kind = source.get("type") if isinstance(source, Mapping) else None
    if kind == "base64" and isinstance(source.get("data"), str):
        media_type = source.get("media_type") or default_type
        if not isinstance(media_type, str) or not media_type.isascii() or set(media_type) & set(",; "):
            raise _wrong(f"{where}.media_type", "expected a type such as image/png")
        if source["data"][:5].lower() == "data:":
            raise _wrong(
                f"{where}.data", "expected base64 alone, found a data URL; leave out what stands before its comma"
            )
        return f"data:{media_type};base64,{source['data']}"
    if kind == "url" and isinstance(source.get("url"), str):
        return str(source["url"])
    if kind == "file":
        raise _wrong(where, "uploaded files are not kept here; send base64")
    raise _wrong(where, "expected type base64 with media_type and data, or type url")


def _blocks(content: Json, where: str) -> list[Mapping[str, Json]]:
    """Return content as blocks; text is one."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise _wrong(where, f"expected text or a list of blocks, found {type(content).__name__}")
    for place, block in enumerate(content):
        if not isinstance(block, Mapping):
            raise _wrong(f"{where}[{place}]", f"expected an object with a type, found {type(block).__name__}")
    return content


def _text(block: Mapping[str, Json], where: str, *, key: str = "text") -> str:
    text = block.get(key)
    if not isinstance(text, str):
        raise _wrong(f"{where}.{key}", f"expected text, found {type(text).__name__}")
    return text


def _wrong(where: str, why: str) -> ApiError:
    return ApiError("invalid_request", f"{where}: {why}.", param=where)
