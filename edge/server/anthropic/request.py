"""Read the bodies of /v1/messages and /v1/messages/count_tokens.

In: JSON. Out: a `MessagesRequest`, from which the engine's request is made. What has no effect here is named in the
answer's header `x-ignored-fields`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from edge.engine import Engine
from edge.records import dataclass
from edge.request import Request
from edge.server.anthropic.messages import to_messages
from edge.server.anthropic.orphans import refuse_orphans
from edge.server.anthropic.thinking import Thinking, read_thinking
from edge.server.anthropic.threads import read_thread
from edge.server.anthropic.tools import read_tools
from edge.server.arguments import ServerLimits
from edge.server.conversation import join_leading
from edge.server.fields import Fields
from edge.server.media import MediaDoor
from edge.server.openai.sampling import Sampling, read_top_p
from edge.server.openai.tools import ToolUse
from edge.server.places import joined_places, part_names
from edge.server.room import fit_to_context

Json = Any
NO_EFFECT = ("metadata", "service_tier", "cache_control", "inference_geo", "speed", "anthropic_version", "betas")
"""About billing, places and caching, which is automatic here: the answer stays the same."""


@dataclass(frozen=True, slots=True)
class MessagesRequest:
    """What was asked, apart from any model.

    Attributes:
        model: As the client wrote it.
        messages: In OpenAI's shape.
        is_stream: Whether the answer is streamed.
        max_tokens: Most tokens of the answer; None goes on until the context is full.
        stop: Strings that end it.
        schema: What it must obey.
        schema_name: The field that has it.
        sampling: What was said about sampling.
        thinking: What was said about the thought.
        tools: Declared tools and how they may be used.
        ignored: Fields without effect.
        places: Where the messages stand in the client's, those of the system joined.
        parts: Names of the parts of the engine's messages, and where they stand in the client's.
    """

    model: str | None
    messages: Sequence[Json]
    is_stream: bool
    max_tokens: int | None
    stop: tuple[str, ...]
    schema: Json
    schema_name: str
    sampling: Sampling
    thinking: Thinking
    tools: ToolUse
    ignored: tuple[str, ...]
    places: tuple[str, ...]
    parts: Mapping[str, str]

    @property
    def names(self) -> dict[str, str]:
        """What fields of the engine's request are called in the client's."""
        names = {"schema": self.schema_name, "thinking_budget": "thinking.budget_tokens", "stop": "stop_sequences"}
        return {**names, **self.parts, "continue_last": self.places[-1]}

    @property
    def continues_last(self) -> bool:
        """Whether the last message is gone on with, as the protocol has it for one of the assistant."""
        return bool(self.messages[-1]["role"] == "assistant")

    def make(self, engine: Engine, *, door: MediaDoor, limits: ServerLimits) -> list[Request]:
        """Build the engine's request.

        Raises:
            EdgeError: A value is out of range, or a picture cannot be had.
        """
        return [fit_to_context(engine, self.question(engine, door=door, limits=limits)[0])]

    def question(self, engine: Engine, *, door: MediaDoor, limits: ServerLimits) -> list[Request]:
        """Build the engine's request to have its tokens counted; raises as `make`."""
        request = Request(
            messages=door.open_messages(join_leading(self.messages)),
            tools=self.tools.declared or None,
            tool_choice=self.tools.choice,
            parallel_tool_calls=self.tools.is_parallel,
            schema=self.schema,
            sampling=self.sampling.params(engine.default_sampling),
            max_tokens=self.max_tokens,
            stop=self.stop,
            thinking_budget=self.thinking.budget,
            continue_last=self.continues_last,
            allow_files=False,
            max_visual_tokens=limits.visual_tokens,
        )
        return [request]


def read_messages_request(body: Mapping[str, Json], *, limits: ServerLimits) -> MessagesRequest:
    """Check a body.

    Raises:
        ApiError: A value is of the wrong type or out of range; `param` names it.
    """
    fields = Fields(body)
    ignored = read_thread(fields)  # before the messages: those of a thread may be none
    places: list[str] = []
    parts: list[list[str]] = []
    given = fields.any("system"), fields.any("messages")
    messages = to_messages(*given, ignored=ignored, places=places, parts=parts)
    refuse_orphans(given[1])
    max_tokens = fields.whole("max_tokens")
    if max_tokens is None:
        max_tokens = limits.answer_tokens
    elif not 1 <= max_tokens <= (limits.answer_tokens or max_tokens):
        raise fields.wrong("max_tokens", f"1 to {limits.answer_tokens or 'the context'}", max_tokens)
    output = fields.inner("output_config")
    tools = read_tools(fields)
    schema, schema_name = _read_format(fields, output)
    request = MessagesRequest(
        model=fields.text("model"),
        messages=messages,
        is_stream=fields.flag("stream"),
        max_tokens=max_tokens,
        stop=_read_stop(fields),
        schema=schema,
        schema_name=schema_name,
        sampling=_read_sampling(fields),
        thinking=read_thinking(fields, output, max_tokens=max_tokens),
        tools=tools,
        ignored=(),
        places=joined_places(messages, places),
        parts=part_names(messages, parts),
    )
    if request.continues_last and request.thinking.is_asked:
        raise fields.wrong("thinking.type", "no thought before an answer that was begun", "enabled")
    fields.ignore(*NO_EFFECT)
    return replace(request, ignored=(*fields.left, *output.left, *request.thinking.ignored, *tools.ignored, *ignored))


def _read_stop(fields: Fields) -> tuple[str, ...]:
    """Take the stop strings; those of spaces alone are allowed here."""
    stop = fields.items("stop_sequences")
    if len(stop) > 16 or not all(isinstance(one, str) and one for one in stop):
        raise fields.wrong("stop_sequences", "up to 16 texts that are not empty", stop)
    return tuple(stop)


def _read_sampling(fields: Fields) -> Sampling:
    given: dict[str, Any] = {"temperature": fields.number("temperature"), "top_p": read_top_p(fields)}
    given["top_k"] = fields.whole("top_k")
    return Sampling({name: value for name, value in given.items() if value is not None})


def _read_format(fields: Fields, output: Fields) -> tuple[Json, str]:
    """Take the schema that the answer must obey, from its place of now or of the beta, and the name of that place."""
    form, beta = output.object("format"), fields.object("output_format")
    name = "output_config.format" if form is not None or beta is None else "output_format"
    form = beta if form is None else form
    if form is None:
        return None, ""
    if form.get("type") != "json_schema" or not isinstance(form.get("schema"), dict):
        raise fields.wrong(name, "type json_schema with a schema", form)
    return form["schema"], f"{name}.schema"
