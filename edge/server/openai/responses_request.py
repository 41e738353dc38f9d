"""Read a request to /v1/responses, and turn its items into messages.

In: the JSON body. Out: a `ResponsesRequest`: a `ChatRequest` and what the answer repeats of the body. Items of kinds
that nothing here makes, such as web searches, are left out, and the answer's header `x-ignored-fields` names them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from edge.records import dataclass
from edge.request import MAX_TOP_LOGPROBS
from edge.server.arguments import ServerLimits
from edge.server.fields import Fields
from edge.server.openai.chat_request import ChatRequest, read_max_tokens, read_media_limits, read_stop
from edge.server.openai.elsewhere import RESPONSES, refuse_elsewhere
from edge.server.openai.formats import read_text_format
from edge.server.openai.sampling import read_sampling
from edge.server.openai.thinking import read_thinking
from edge.server.openai.tools import read_tools

Json = Any
NO_EFFECT = (
    *("user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "service_tier", "stream_options"),
    *("client_metadata", "context_management", "max_tool_calls"),
)
LOGPROBS = "message.output_text.logprobs"
INCLUDES = (LOGPROBS, "reasoning.encrypted_content")
"""What clients ask for beside the answer; thoughts are sent as they are, which is what the second is for."""


@dataclass(frozen=True, slots=True)
class ResponsesRequest:
    """What was asked.

    Attributes:
        chat: The same as a chat completion; its messages are those of this request only.
        previous_id: The response that this one goes on from.
        is_stored: Whether the response is kept for later ones.
        instructions: Text that stands before everything, for this request only.
        echo: Fields that the answer repeats.
        places: Where the chat's messages stand in `input`.
    """

    chat: ChatRequest
    previous_id: str | None
    is_stored: bool
    instructions: str | None
    echo: Mapping[str, Json]
    places: tuple[str, ...]


def read_responses_request(body: Mapping[str, Json], *, limits: ServerLimits) -> ResponsesRequest:
    """Check a body.

    Raises:
        ApiError: A value is of the wrong type or out of range, or asks for what there is not.
    """
    fields = Fields(body)
    _refuse_kept(fields)
    instructions = fields.text("instructions")
    previous_id = fields.text("previous_response_id")
    is_stored = fields.flag("store", default=True)
    metadata = fields.object("metadata") or {}
    places: list[str] = []
    messages, skipped = read_items(fields, may_lack=previous_id is not None, places=places)
    chat = _read_chat(fields, messages, skipped=skipped, limits=limits)
    echo = _echo(body) | {
        "instructions": instructions,
        "max_output_tokens": chat.max_tokens,
        "metadata": metadata,
        "parallel_tool_calls": chat.tools.is_parallel,
        "previous_response_id": previous_id,
        "store": is_stored,
    }
    return ResponsesRequest(chat, previous_id, is_stored, instructions, echo, tuple(places))


def _read_chat(
    fields: Fields, messages: Sequence[Json], *, skipped: Sequence[str], limits: ServerLimits
) -> ChatRequest:
    """Take what a chat completion has too; the last to read, because what is left then was ignored."""
    max_tokens, limit_name = read_max_tokens(fields, "max_output_tokens", limits=limits)
    tools = read_tools(fields)
    refuse_elsewhere(fields, RESPONSES)
    form = read_text_format(fields)
    has_logprobs, idle = _read_includes(fields)
    top_logprobs = fields.between("top_logprobs", 0, MAX_TOP_LOGPROBS)
    request = ChatRequest(
        model=fields.text("model"),
        messages=messages,
        choices=1,
        is_stream=fields.flag("stream"),
        has_usage=True,
        has_logprobs=has_logprobs or bool(top_logprobs),
        top_logprobs=top_logprobs or 0,
        max_tokens=max_tokens,
        limit_name=limit_name,
        stop=read_stop(fields),
        format=form,
        sampling=read_sampling(fields),
        thinking=read_thinking(fields),
        speculate=fields.wish("speculate"),
        continues_last=False,
        tools=tools,
        media=read_media_limits(fields),
        ignored=(),
    )
    is_cut = fields.choice("truncation", ("auto", "disabled")) == "auto"
    fields.ignore(*NO_EFFECT)
    ignored = (*fields.left, *form.ignored, *request.thinking.ignored, *tools.ignored, *skipped, *idle)
    return replace(request, ignored=(*ignored, "truncation=auto") if is_cut else ignored)


def _refuse_kept(fields: Fields) -> None:
    """Refuse what names something that OpenAI's servers keep."""
    for name in ("conversation", "prompt", "background"):
        if value := fields.any(name):
            raise fields.wrong(name, "nothing: this is not kept here", value)
    if (number := fields.any("n")) not in (None, 1):
        raise fields.wrong("n", "1: one answer to each request", number)


def _read_includes(fields: Fields) -> tuple[bool, list[str]]:
    """Take `include`: whether logprobs are wanted, and what there is not."""
    includes = [str(one) for one in fields.items("include")]
    return LOGPROBS in includes, [f"include={one[:40]}" for one in includes if one not in INCLUDES]


def _echo(body: Mapping[str, Json]) -> dict[str, Json]:
    """Return what the answer repeats of the body as it stands there."""
    return {
        "reasoning": {"effort": None, "summary": None, **(body.get("reasoning") or {})},
        "temperature": body.get("temperature"),
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "top_p": body.get("top_p"),
        "truncation": "disabled",
    }


def read_items(
    fields: Fields, *, may_lack: bool = False, places: list[str] | None = None
) -> tuple[list[Json], list[str]]:
    """Take `input`; return messages, and the items that were left out.

    Args:
        fields: The request's.
        may_lack: Whether there may be none, behind an earlier answer.
        places: Gets the place of each message's first item.
    """
    places = [] if places is None else places
    given = fields.any("input")
    if may_lack and (given is None or given == []):
        return [], []
    if isinstance(given, str) and given:
        places.append("input")
        return [{"role": "user", "content": given}], []
    if not isinstance(given, list) or not given:
        raise fields.wrong("input", "text, or a list with at least one item", given)
    reader = _ItemReader(fields)
    for place, item in enumerate(given):
        reader.read(item, f"input[{place}]")
        places += [f"input[{place}]"] * (len(reader.messages) - len(places))
    return reader.messages, reader.skipped


class _ItemReader:
    """Joins items into messages: a thought, a text and calls in a row are one message of the assistant."""

    def __init__(self, fields: Fields) -> None:
        self.messages: list[dict[str, Json]] = []
        self.skipped: list[str] = []
        self._fields = fields
        self._names: dict[str, str] = {}  # of calls, by their id

    def read(self, item: Json, where: str) -> None:
        if not isinstance(item, Mapping):
            raise self._fields.wrong(where, "an object", item)
        kind = item.get("type") or "message"
        if kind == "message":
            self._message(item, where)
        elif kind == "function_call":
            self._call(item, where)
        elif kind == "function_call_output":
            self._output(item, where)
        elif kind == "reasoning":
            message = self._assistant()
            message["reasoning_content"] = message.get("reasoning_content", "") + _thought_of(item)
        else:
            self.skipped.append(f"{where}.type={str(kind)[:40]}")

    def _message(self, item: Mapping[str, Json], where: str) -> None:
        role, content = item.get("role"), item.get("content")
        if not isinstance(content, str | list):
            raise self._fields.wrong(f"{where}.content", "text or a list of parts", content)
        if role != "assistant":
            self.messages.append({"role": role, "content": content})
            return
        parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
        message = self._assistant()
        message["content"] = [*message["content"], *parts]

    def _call(self, item: Mapping[str, Json], where: str) -> None:
        call_id, name, arguments = (item.get(key) for key in ("call_id", "name", "arguments"))
        if not isinstance(call_id, str) or not isinstance(name, str) or not isinstance(arguments, str):
            raise self._fields.wrong(where, "call_id, name and arguments as text", sorted(map(str, item)))
        self._names[call_id] = name
        call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments or "{}"}}
        self._assistant().setdefault("tool_calls", []).append(call)

    def _output(self, item: Mapping[str, Json], where: str) -> None:
        call_id, output = item.get("call_id"), item.get("output")
        if not isinstance(call_id, str) or not isinstance(output, str | list):
            raise self._fields.wrong(where, "call_id, and output as text or parts", sorted(map(str, item)))
        message = {"role": "tool", "tool_call_id": call_id, "content": output}
        if call_id in self._names:
            message["name"] = self._names[call_id]
        self.messages.append(message)

    def _assistant(self) -> dict[str, Json]:
        """Return the assistant's message that is being put together."""
        if not self.messages or self.messages[-1]["role"] != "assistant":
            self.messages.append({"role": "assistant", "content": []})
        return self.messages[-1]


def _thought_of(item: Mapping[str, Json]) -> str:
    """Return a reasoning item's text: all of it, or else its summary."""
    for key in ("content", "summary"):
        parts = item.get(key)
        if isinstance(parts, Sequence) and not isinstance(parts, str) and parts:
            texts = [part.get("text") for part in parts if isinstance(part, Mapping)]
            return "\n".join(text for text in texts if isinstance(text, str))
    return ""
