"""Check messages and bring them into the one form that chat templates handle.

In: messages as people and OpenAI clients write them. Out: plain JSON messages whose media are bare markers, and the
media beside them in order. Templates raise on `content: null` and drop `video_url` items silently; special tokens
inside what people wrote are guarded, so that they stay text and never open or close a turn or a picture.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from itertools import groupby
from typing import Any

from edge.errors import PromptError
from edge.prompt.text.results import order_results
from edge.prompt.text.shield import Shield
from edge.prompt.types import IMAGE_OPTIONS, VIDEO_OPTIONS, MediaItem, MediaKind
from edge.records import dataclass

# Messages are JSON until they are checked here; media sources are whatever `edge.prompt.media.picture` accepts.
Json = Any

ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
MESSAGE_KEYS = {
    *("role", "content", "reasoning_content", "reasoning", "thinking", "tool_calls", "tool_call_id", "name"),
    *("refusal", "annotations"),  # in answers of OpenAI servers, which clients send back
}
REASONING_KEYS = ("reasoning_content", "reasoning", "thinking")
# Kind of text item -> the key its text stands under.
TEXT_TYPES = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}
# Said beside an item, true of how this runtime works anyway, or about the text and not part of it.
SILENT_KEYS = {"cache_control", "annotations", "logprobs"}
MEDIA_TYPES: dict[str, MediaKind] = {
    "image": "image",
    "image_url": "image",
    "input_image": "image",
    "video": "video",
    "video_url": "video",
}


@dataclass(frozen=True, slots=True)
class NormalMessages:
    """Messages for the template, and what they show.

    Attributes:
        messages: Plain JSON; text is guarded, media are `{"type": "image"}` or `{"type": "video"}`.
        media: Pictures and videos in order of appearance.
        last_user_text: What the last user message asks, as it was written.
        witnessed: Indexes of the system messages after the first message: they carry the shield's witnesses.
    """

    messages: list[dict[str, Json]]
    media: list[MediaItem] = field(default_factory=list)
    last_user_text: str = ""
    witnessed: tuple[int, ...] = ()


def normalise_messages(messages: Sequence[Mapping[str, Json]], *, shield: Shield) -> NormalMessages:
    """Check and rewrite messages.

    Args:
        messages: Chat messages with roles system, developer (counts as system), user, assistant and tool.
        shield: Takes the meaning of control tokens from message text; it must have seen the messages.

    Raises:
        PromptError: No messages, nothing in them, an unknown role, key, or kind of content.
    """
    if isinstance(messages, str | bytes | Mapping) or not isinstance(messages, Sequence):
        raise PromptError(f"Messages should be a list of messages, found {type(messages).__name__}.")
    if not messages:
        raise PromptError("The list of messages is empty. Give at least one user message.")
    return _Normaliser(shield).run(messages, order_results(messages))


def normalise_tools(tools: Sequence[Mapping[str, Json]] | None, *, shield: Shield) -> list[Json] | None:
    """Check and guard tool schemas.

    Raises:
        PromptError: A tool is not a JSON object.
    """
    if tools is None:
        return None
    if isinstance(tools, str | bytes | Mapping) or not all(isinstance(tool, Mapping) for tool in tools):
        raise PromptError("Tools should be a list of JSON objects with a name and parameters.")
    normaliser = _Normaliser(shield)
    return [normaliser.plain(tool, f"tools[{i}]") for i, tool in enumerate(tools)]


def guard_json(value: Json, where: str, *, shield: Shield) -> Json:
    """Copy JSON with all its text guarded.

    Raises:
        PromptError: It is no JSON, or its text cannot be taken.
    """
    return _Normaliser(shield).plain(value, where)


class _Normaliser:
    """One pass over messages, collecting media."""

    def __init__(self, shield: Shield) -> None:
        self._shield = shield
        self._media: list[MediaItem] = []
        self._num_characters = 0

    def run(self, messages: Sequence[Mapping[str, Json]], order: Sequence[int]) -> NormalMessages:
        normal = [self._message(messages[i], f"messages[{i}]") for i in order]
        if not self._media and not self._num_characters and not any(message.get("tool_calls") for message in normal):
            raise PromptError("The prompt is empty: no message has text, a picture or a video. Ask something.")
        user_texts = [_text_of(message["content"]) for message in normal if message["role"] == "user"]
        witnessed = tuple(i for i, message in enumerate(normal) if self._witness(message, i))
        return NormalMessages(normal, self._media, self._shield.remove(user_texts[-1] if user_texts else ""), witnessed)

    def plain(self, value: Json, where: str) -> Json:
        """Copy JSON with all its text guarded."""
        if isinstance(value, str):
            return self._guard(value, where)
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping):
            return {self._guard(str(key), where): self.plain(item, where) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.plain(item, where) for item in value]
        raise PromptError(f"{where}: expected JSON, found {type(value).__name__}.")

    def _message(self, message: Mapping[str, Json], where: str) -> dict[str, Json]:
        if not isinstance(message, Mapping):
            raise PromptError(f"{where}: expected an object with role and content, found {type(message).__name__}.")
        role = message.get("role")
        if not isinstance(role, str) or role not in ROLES:
            raise PromptError(f"{where}: the role should be one of {', '.join(ROLES)}, found {role!r}.")
        _refuse_unknown(message, MESSAGE_KEYS, where)
        # Templates raise on None, which OpenAI clients send beside tool calls.
        content = message.get("content") or message.get("refusal")
        if message.get("content") and message.get("refusal"):
            raise PromptError(f"{where}: expected content or refusal, found both. Put both texts into content.")
        normal: dict[str, Json] = {"role": ROLES[role], "content": self._content(content, where)}
        thoughts = [message[key] for key in REASONING_KEYS if message.get(key) is not None]
        if thoughts:
            # An empty thought is one: templates look for thoughts in the content only where there is none.
            reasoning = next(filter(None, thoughts), "")
            if not isinstance(reasoning, str):
                raise PromptError(f"{where}: reasoning should be text, found {type(reasoning).__name__}.")
            normal["reasoning_content"] = self._guard(reasoning, where)
        if message.get("tool_calls"):
            normal["tool_calls"] = self._tool_calls(message["tool_calls"], f"{where}.tool_calls")
        for key in ("tool_call_id", "name"):
            if message.get(key) is not None:
                if not isinstance(message[key], str):
                    raise PromptError(f"{where}: {key} should be text, found {type(message[key]).__name__}.")
                normal[key] = self._guard(message[key], where)
        return normal

    def _content(self, content: Json, where: str) -> Json:
        if content is None:
            return ""
        if isinstance(content, str):
            self._num_characters += len(content)
            return self._guard(content, where)
        if isinstance(content, list | tuple):
            return self._guard_parts(
                [self._item(item, f"{where}.content[{i}]") for i, item in enumerate(content)], where
            )
        raise PromptError(f"{where}: content should be text or a list of items, found {type(content).__name__}.")

    def _item(self, item: Json, where: str) -> dict[str, Json]:
        if not isinstance(item, Mapping):
            raise PromptError(f"{where}: expected an object with a type, found {type(item).__name__}.")
        kind = item.get("type")
        if kind is None:
            kind = next((name for name in (*MEDIA_TYPES, "text") if item.get(name) is not None), None)
        if isinstance(kind, str) and kind in TEXT_TYPES:
            text = item.get(TEXT_TYPES[kind])
            _refuse_unknown(item, {"type", TEXT_TYPES[kind]}, where)
            if not isinstance(text, str):
                raise PromptError(f"{where}: text should be a string, found {type(text).__name__}.")
            self._num_characters += len(text)
            return {"type": "text", "text": text}
        if not isinstance(kind, str) or kind not in MEDIA_TYPES:
            known = ", ".join(("text", *MEDIA_TYPES))
            raise PromptError(f"{where}: the type should be one of {known}, found {kind!r}.")
        self._media.append(self._media_item(MEDIA_TYPES[kind], item, where))
        return {"type": MEDIA_TYPES[kind]}

    def _media_item(self, kind: MediaKind, item: Mapping[str, Json], where: str) -> MediaItem:
        names = [name for name, media_kind in MEDIA_TYPES.items() if media_kind == kind and item.get(name) is not None]
        if len(names) != 1:
            found = "none" if not names else f"{len(names)}: {', '.join(names)}"
            raise PromptError(f"{where}: expected one {kind} under the key {kind!r}, found {found}.")
        known = IMAGE_OPTIONS if kind == "image" else VIDEO_OPTIONS
        _refuse_unknown(item, {"type", "detail", names[0], *known}, where)
        source, options = item[names[0]], {key: item[key] for key in item if key in known | {"detail"}}
        if isinstance(source, Mapping):
            _refuse_unknown(source, {"url", "detail", *known}, f"{where}.{names[0]}")
            options |= {key: source[key] for key in source if key in known | {"detail"}}
            source = source.get("url")
        detail = options.pop("detail", None)
        if detail not in (None, "auto", "high"):
            raise PromptError(f"{where}: detail {detail!r} is not supported. Give max_pixels to make pictures smaller.")
        number = 1 + sum(media.kind == kind for media in self._media)
        given = {key: value for key, value in options.items() if value is not None}
        return MediaItem(kind, source, f"{kind} {number}", given, where)

    def _tool_calls(self, calls: Json, where: str) -> list[Json]:
        if not isinstance(calls, list | tuple):
            raise PromptError(f"{where}: expected a list, found {type(calls).__name__}.")
        for i, call in enumerate(calls):
            function = call.get("function", call) if isinstance(call, Mapping) else None
            if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
                raise PromptError(f"{where}[{i}]: expected a function with a name and arguments.")
            if not isinstance(function.get("arguments"), str | Mapping):
                raise PromptError(f"{where}[{i}]: arguments should be a JSON object or its text.")
        return [self.plain(_with_arguments(call), f"{where}[{i}]") for i, call in enumerate(calls)]

    def _guard(self, text: str, where: str) -> str:
        return self._shield.guard([text], where)[0]

    def _guard_parts(self, items: list[dict[str, Json]], where: str) -> list[dict[str, Json]]:
        """Guard the joined whole of text items that follow each other: templates write them without a gap."""
        guarded: list[dict[str, Json]] = []
        for kind, group in groupby(items, key=lambda item: item["type"]):
            run = list(group)
            if kind == "text":
                run = [
                    {"type": "text", "text": text} for text in self._shield.guard([item["text"] for item in run], where)
                ]
            guarded += run
        return guarded

    def _witness(self, message: dict[str, Json], number: int) -> bool:
        """Number a system message that is not the first; False where there is no text to number."""
        content = message["content"]
        if message["role"] != "system" or number == 0:
            return False
        if isinstance(content, str):
            message["content"] = self._shield.add_witness(content, number)
            return bool(content.strip())
        for item in content:
            if item["type"] == "text" and item["text"].strip():
                item["text"] = self._shield.add_witness(item["text"], number)
                return True
        return False


def _with_arguments(call: Mapping[str, Json]) -> Mapping[str, Json]:
    """Write no arguments as an empty object: some programs send empty text, which would leave a call without any."""
    function = call.get("function", call)
    if function["arguments"] != "":
        return call
    filled = {**function, "arguments": "{}"}
    return {**call, "function": filled} if "function" in call else filled


def _refuse_unknown(item: Mapping[str, Json], known: Collection[str], where: str) -> None:
    """Refuse keys that would be left out; those without a value, as client libraries dump them, say nothing."""
    told = (key for key, value in item.items() if value is not None and key not in SILENT_KEYS)
    unknown = sorted(str(key) for key in told if key not in known)
    if unknown:
        raise PromptError(f"{where}: unknown key {', '.join(unknown)}. Known: {', '.join(sorted(known))}.")


def _text_of(content: Json) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(item["text"] for item in content if item["type"] == "text")
