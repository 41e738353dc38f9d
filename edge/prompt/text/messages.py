"""Check messages and bring them into the one form that chat templates handle.

In: messages as people and OpenAI clients write them. Out: plain JSON messages whose media are bare markers, and the
media beside them in order. Templates raise on `content: null` and drop `video_url` items silently; special tokens
inside what people wrote are shielded, so that they stay text and never open or close a turn or a picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edge.errors import PromptError
from edge.prompt.types import IMAGE_OPTIONS, VIDEO_OPTIONS, MediaItem, MediaKind

# Messages are JSON until they are checked here; media sources are whatever `edge.prompt.media.picture` accepts.
Json = Any

ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
MESSAGE_KEYS = {
    *("role", "content", "reasoning_content", "reasoning", "thinking", "tool_calls", "tool_call_id", "name"),
    *("refusal", "annotations", "audio"),  # in answers of OpenAI servers, which clients send back
}
TEXT_TYPES = ("text", "input_text", "output_text")
MEDIA_TYPES: dict[str, MediaKind] = {
    "image": "image",
    "image_url": "image",
    "input_image": "image",
    "video": "video",
    "video_url": "video",
}
# A Unicode noncharacter after `<|` of user text; it is taken out again before tokenizing.
SHIELD = "\ufdd0"


@dataclass(frozen=True, slots=True)
class NormalMessages:
    """Messages for the template, and what they show.

    Attributes:
        messages: Plain JSON; text is shielded, media are `{"type": "image"}` or `{"type": "video"}`.
        media: Pictures and videos in order of appearance.
        last_user_text: What the last user message asks, unshielded.
    """

    messages: list[dict[str, Json]]
    media: list[MediaItem] = field(default_factory=list)
    last_user_text: str = ""


def normalise_messages(messages: Sequence[Mapping[str, Json]], *, special_tokens: Iterable[str]) -> NormalMessages:
    """Check and rewrite messages.

    Args:
        messages: Chat messages with roles system, developer (counts as system), user, assistant and tool.
        special_tokens: Control tokens, which lose their meaning inside message text.

    Raises:
        PromptError: No messages, nothing in them, an unknown role, key, or kind of content.
    """
    if isinstance(messages, str | bytes | Mapping) or not isinstance(messages, Sequence):
        raise PromptError(f"Messages should be a list of messages, found {type(messages).__name__}.")
    if not messages:
        raise PromptError("The list of messages is empty. Give at least one user message.")
    return _Normaliser(special_tokens).run(messages)


def normalise_tools(tools: Sequence[Mapping[str, Json]] | None, *, special_tokens: Iterable[str]) -> list[Json] | None:
    """Check and shield tool schemas.

    Raises:
        PromptError: A tool is not a JSON object.
    """
    if tools is None:
        return None
    if isinstance(tools, str | bytes | Mapping) or not all(isinstance(tool, Mapping) for tool in tools):
        raise PromptError("Tools should be a list of JSON objects with a name and parameters.")
    normaliser = _Normaliser(special_tokens)
    return [normaliser.plain(tool, f"tools[{i}]") for i, tool in enumerate(tools)]


def unshield(text: str) -> str:
    """Give shielded text its original form."""
    return text.replace("<|" + SHIELD, "<|")


class _Normaliser:
    """One pass over messages, collecting media."""

    def __init__(self, special_tokens: Iterable[str]) -> None:
        # Almost all special tokens start with `<|`, which is what gets shielded.
        self._other_tokens = [token for token in special_tokens if not token.startswith("<|")]
        self._media: list[MediaItem] = []
        self._num_characters = 0

    def run(self, messages: Sequence[Mapping[str, Json]]) -> NormalMessages:
        normal = [self._message(message, f"messages[{i}]") for i, message in enumerate(messages)]
        if not self._media and not self._num_characters and not any(message.get("tool_calls") for message in normal):
            raise PromptError("The prompt is empty: no message has text, a picture or a video. Ask something.")
        user_texts = [_text_of(message["content"]) for message in normal if message["role"] == "user"]
        return NormalMessages(normal, self._media, unshield(user_texts[-1]) if user_texts else "")

    def plain(self, value: Json, where: str) -> Json:
        """Copy JSON with all its text shielded."""
        if isinstance(value, str):
            return self._shield(value, where)
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping):
            return {self._shield(str(key), where): self.plain(item, where) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.plain(item, where) for item in value]
        raise PromptError(f"{where}: expected JSON, found {type(value).__name__}.")

    def _message(self, message: Mapping[str, Json], where: str) -> dict[str, Json]:
        if not isinstance(message, Mapping):
            raise PromptError(f"{where}: expected an object with role and content, found {type(message).__name__}.")
        role = message.get("role")
        if not isinstance(role, str) or role not in ROLES:
            raise PromptError(f"{where}: the role should be one of {', '.join(ROLES)}, found {role!r}.")
        unknown = sorted(str(key) for key in message if key not in MESSAGE_KEYS)
        if unknown:
            raise PromptError(f"{where}: unknown key {', '.join(unknown)}. Known: {', '.join(sorted(MESSAGE_KEYS))}.")
        # Templates raise on None, which OpenAI clients send beside tool calls.
        normal: dict[str, Json] = {"role": ROLES[role], "content": self._content(message.get("content"), where)}
        reasoning = next((message[k] for k in ("reasoning_content", "reasoning", "thinking") if message.get(k)), None)
        if reasoning is not None:
            if not isinstance(reasoning, str):
                raise PromptError(f"{where}: reasoning should be text, found {type(reasoning).__name__}.")
            normal["reasoning_content"] = self._shield(reasoning, where)
        if message.get("tool_calls"):
            normal["tool_calls"] = self._tool_calls(message["tool_calls"], f"{where}.tool_calls")
        for key in ("tool_call_id", "name"):
            if isinstance(message.get(key), str):
                normal[key] = self._shield(message[key], where)
        return normal

    def _content(self, content: Json, where: str) -> Json:
        if content is None:
            return ""
        if isinstance(content, str):
            self._num_characters += len(content)
            return self._shield(content, where)
        if isinstance(content, list | tuple):
            return [self._item(item, f"{where}.content[{i}]") for i, item in enumerate(content)]
        raise PromptError(f"{where}: content should be text or a list of items, found {type(content).__name__}.")

    def _item(self, item: Json, where: str) -> dict[str, Json]:
        if not isinstance(item, Mapping):
            raise PromptError(f"{where}: expected an object with a type, found {type(item).__name__}.")
        kind = item.get("type")
        if kind is None:
            kind = next((name for name in (*MEDIA_TYPES, "text") if name in item), None)
        if kind in TEXT_TYPES:
            text = item.get("text")
            if not isinstance(text, str):
                raise PromptError(f"{where}: text should be a string, found {type(text).__name__}.")
            self._num_characters += len(text)
            return {"type": "text", "text": self._shield(text, where)}
        if not isinstance(kind, str) or kind not in MEDIA_TYPES:
            known = ", ".join(("text", *MEDIA_TYPES))
            raise PromptError(f"{where}: the type should be one of {known}, found {kind!r}.")
        self._media.append(self._media_item(MEDIA_TYPES[kind], item, where))
        return {"type": MEDIA_TYPES[kind]}

    def _media_item(self, kind: MediaKind, item: Mapping[str, Json], where: str) -> MediaItem:
        names = [name for name, media_kind in MEDIA_TYPES.items() if media_kind == kind and item.get(name) is not None]
        if len(names) != 1:
            raise PromptError(f"{where}: expected one {kind} under the key {kind!r}, found {len(names)}.")
        source, options = item[names[0]], {key: item[key] for key in item if key not in ("type", names[0])}
        if isinstance(source, Mapping):
            options |= {key: source[key] for key in source if key != "url"}
            source = source.get("url")
        detail = options.pop("detail", None)
        if detail not in (None, "auto", "high"):
            raise PromptError(f"{where}: detail {detail!r} is not supported. Give max_pixels to make pictures smaller.")
        known = IMAGE_OPTIONS if kind == "image" else VIDEO_OPTIONS
        unknown = sorted(key for key, value in options.items() if key not in known)
        if unknown:
            raise PromptError(f"{where}: unknown key {', '.join(unknown)}. Known: {', '.join(sorted(known))}.")
        number = 1 + sum(media.kind == kind for media in self._media)
        given = {key: value for key, value in options.items() if value is not None}
        return MediaItem(kind, source, f"{kind} {number}", given)

    def _tool_calls(self, calls: Json, where: str) -> list[Json]:
        if not isinstance(calls, list | tuple):
            raise PromptError(f"{where}: expected a list, found {type(calls).__name__}.")
        for i, call in enumerate(calls):
            function = call.get("function", call) if isinstance(call, Mapping) else None
            if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
                raise PromptError(f"{where}[{i}]: expected a function with a name and arguments.")
            if not isinstance(function.get("arguments"), str | Mapping):
                raise PromptError(f"{where}[{i}]: arguments should be a JSON object or its text.")
        return [self.plain(call, f"{where}[{i}]") for i, call in enumerate(calls)]

    def _shield(self, text: str, where: str) -> str:
        for token in self._other_tokens:
            if token in text:
                raise PromptError(f"{where}: the text contains the control token {token!r}. Remove it.")
        # Lone surrogates can come out of JSON escapes, and no tokenizer takes them.
        if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            raise PromptError(f"{where}: the text contains a broken character (a lone surrogate). Remove it.")
        return text.replace("<|", "<|" + SHIELD)


def _text_of(content: Json) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(item["text"] for item in content if item["type"] == "text")
