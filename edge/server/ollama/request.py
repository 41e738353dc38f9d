"""Read the bodies of /api/chat and /api/generate.

In: JSON. Out: an `OllamaRequest`, from which the engine's request is made. What has no effect here is named in the
answer's header `x-ignored-fields`; what would change the answer and is not had is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edge.engine import Engine
from edge.records import dataclass
from edge.request import MAX_TOP_LOGPROBS, Request
from edge.server.arguments import ServerLimits
from edge.server.conversation import join_leading
from edge.server.fields import Fields
from edge.server.media import MediaDoor
from edge.server.ollama.durations import read_keep_alive
from edge.server.ollama.messages import part_places, picture_parts, to_messages
from edge.server.ollama.options import Options, read_options
from edge.server.ollama.thinking import Think, check_think, read_think
from edge.server.openai.tools import ToolUse, read_tools
from edge.server.places import joined_places, part_names
from edge.server.room import fit_to_context

Json = Any


@dataclass(frozen=True, slots=True)
class OllamaRequest:
    """What was asked, apart from any model.

    Attributes:
        model: As the client wrote it.
        messages: In OpenAI's shape; empty to load or unload the model.
        raw_prompt: Text that goes around the template, in place of messages.
        is_stream: Whether the answer comes in lines; Ollama's default.
        keep_alive_s: Seconds the model stays afterwards; None leaves that as it is.
        schema: What the answer must obey.
        options: What was said about tokens.
        think: What was said about the thought.
        tools: Declared tools.
        top_logprobs: Most likely tokens beside each; None sends no logprobs.
        ignored: Fields without effect.
        places: Where the messages stand in the client's, those of the system joined.
        parts: Names of the parts of the engine's messages, and where they stand in the client's.
    """

    model: str | None
    messages: Sequence[Json]
    raw_prompt: str | None
    is_stream: bool
    keep_alive_s: float | None
    schema: Json
    options: Options
    think: Think
    tools: ToolUse
    top_logprobs: int | None
    ignored: tuple[str, ...]
    places: tuple[str, ...]
    parts: Mapping[str, str]

    @property
    def names(self) -> dict[str, str]:
        """What fields of the engine's request are called in the client's."""
        prompt = {} if self.places[-1:] != ("prompt",) and self.raw_prompt is None else {"messages": "prompt"}
        names = {"schema": "format", "max_tokens": "options.num_predict", "raw_prompt": "prompt", **prompt}
        return {**names, **self.parts, "continue_last": self.places[-1] if self.places else "messages"}

    @property
    def continues_last(self) -> bool:
        """Whether the last message is gone on with, as the protocol has it for one of the assistant."""
        return bool(self.messages) and self.messages[-1]["role"] == "assistant"

    @property
    def is_load(self) -> bool:
        """Whether nothing is asked but to have the model in memory, or out of it."""
        return not self.messages and self.raw_prompt is None

    def make(self, engine: Engine, *, door: MediaDoor, limits: ServerLimits) -> list[Request]:
        """Build the engine's request; none to load the model only.

        Raises:
            EdgeError: A value is wrong, or the model does not think and is asked to.
        """
        if self.is_load:
            return []
        max_tokens = self.options.max_tokens
        if self.raw_prompt is None:
            check_think(self.think, engine, self.model)
        request = Request(
            messages=door.open_messages(join_leading(self.messages)),
            raw_prompt=self.raw_prompt,
            tools=self.tools.declared or None,
            tool_choice=self.tools.choice,
            parallel_tool_calls=self.tools.is_parallel,
            schema=self.schema,
            sampling=self.options.sampling.params(engine.default_sampling),
            max_tokens=max_tokens,
            stop=self.options.stop,
            thinking_budget=self.think.budget_for(max_tokens),
            continue_last=self.continues_last,
            top_logprobs=self.top_logprobs,
            allow_files=False,
            max_visual_tokens=limits.visual_tokens,
        )
        return [fit_to_context(engine, request)]


def read_chat(body: Mapping[str, Json], *, limits: ServerLimits) -> OllamaRequest:
    """Check a body of /api/chat.

    Raises:
        ApiError: A value is of the wrong type or out of range.
    """
    fields = Fields(body)
    ignored: list[str] = []
    given = fields.items("messages")
    messages = to_messages(given, ignored=ignored)
    found = [(one.get("images"), f"messages[{place}]") for place, one in enumerate(given)]
    parts = [part_places(images, f"{where}.images", text=f"{where}.content") for images, where in found]
    tools, where = read_tools(fields), (joined_places(messages), part_names(messages, parts))
    return _read(fields, limits, messages=messages, raw_prompt=None, tools=tools, ignored=ignored, where=where)


def read_generate(body: Mapping[str, Json], *, limits: ServerLimits) -> OllamaRequest:
    """Check a body of /api/generate: one prompt, with pictures and a system message, or raw text.

    Raises:
        ApiError: A value is of the wrong type or out of range, or asks for what this server has not.
    """
    fields = Fields(body)
    prompt, system, is_raw = fields.text("prompt") or "", fields.text("system"), fields.flag("raw")
    images = fields.any("images")
    for name, advice in (("suffix", "this model does not insert"), ("template", "the model's own template is used")):
        if value := fields.text(name):
            raise fields.wrong(name, f"none; {advice}", value)
    if is_raw and images:
        raise fields.wrong("images", "none beside raw; send pictures without raw", "pictures")
    if is_raw and system:
        raise fields.wrong("system", "none beside raw; put it into the prompt", system)
    messages: list[dict[str, Json]] = []
    parts = picture_parts(images, "images")
    if not is_raw and (prompt or parts):
        messages = [{"role": "system", "content": system}] if system else []
        messages.append({"role": "user", "content": [*parts, {"type": "text", "text": prompt}]})
    raw_prompt = prompt if is_raw and prompt else None
    places = ("system", "prompt")[-len(messages) :]
    names = part_names(messages, [[], part_places(images, "images", text="prompt")][-len(messages) :])
    where = (places, names)
    return _read(fields, limits, messages=messages, raw_prompt=raw_prompt, tools=ToolUse(), ignored=[], where=where)


def _read(
    fields: Fields,
    limits: ServerLimits,
    *,
    messages: Sequence[Json],
    raw_prompt: str | None,
    tools: ToolUse,
    ignored: list[str],
    where: tuple[tuple[str, ...], Mapping[str, str]],
) -> OllamaRequest:
    """Take what both endpoints have."""
    has_logprobs, top_logprobs = fields.flag("logprobs"), fields.between("top_logprobs", 0, MAX_TOP_LOGPROBS)
    options = read_options(fields, limits=limits)
    model, schema = fields.text("model") or fields.text("name"), _read_format(fields)
    is_stream, think = fields.flag("stream", default=True), read_think(fields)
    is_begun = raw_prompt is not None or (bool(messages) and messages[-1]["role"] == "assistant")
    if is_begun and think.is_asked:
        ignored = [*ignored, "think"]  # what begins a thought stands before what was begun, or nowhere
    keep_alive_s = read_keep_alive(fields)
    return OllamaRequest(
        model=model,
        messages=messages,
        raw_prompt=raw_prompt,
        is_stream=is_stream,
        keep_alive_s=keep_alive_s,
        schema=schema,
        options=options,
        think=think,
        tools=tools,
        top_logprobs=(top_logprobs or 0) if has_logprobs or top_logprobs else None,
        ignored=(*fields.left, *options.ignored, *tools.ignored, *ignored),
        places=where[0],
        parts=where[1],
    )


def _read_format(fields: Fields) -> Json:
    """Take what the answer must obey: "json", or a schema."""
    value = fields.any("format")
    if value is None or value == "":
        return None
    if value == "json" or isinstance(value, dict):
        return value
    raise fields.wrong("format", '"json" or a JSON Schema', value)
