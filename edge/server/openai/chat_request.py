"""Read a chat completion request.

In: the JSON body of /v1/chat/completions. Out: a `ChatRequest`, from which an engine's requests are made. Fields that
change nothing here are ignored, unknown ones too, but the answer's header `x-ignored-fields` names those.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from edge.engine import Engine
from edge.prompt.text.messages import MESSAGE_KEYS, SILENT_KEYS
from edge.records import dataclass
from edge.request import MAX_TOP_LOGPROBS, Request
from edge.run.sample import SamplingParams
from edge.server.arguments import ServerLimits
from edge.server.conversation import join_leading
from edge.server.errors import ApiError
from edge.server.fields import Fields
from edge.server.media import MediaDoor, idle_options
from edge.server.openai.elsewhere import CHAT, refuse_elsewhere
from edge.server.openai.formats import Format, read_format
from edge.server.openai.orphans import refuse_orphans
from edge.server.openai.sampling import Sampling, read_sampling
from edge.server.openai.thinking import Thinking, read_thinking
from edge.server.openai.tools import ToolUse, read_tools
from edge.server.places import joined_places

Json = Any
NO_EFFECT = (
    *("user", "metadata", "store", "service_tier", "prompt_cache_key", "prompt_cache_retention", "safety_identifier"),
    *("modalities", "timings_per_token", "return_progress", "cache_prompt", "id_slot", "keep_alive", "verbosity"),
)

ANSWER_KEYS = (*MESSAGE_KEYS, *SILENT_KEYS, "function_call", "audio", "images")
"""Keys of answers that reach the prompt: those it knows, and three that it refuses, as something said would be lost."""
IMAGE_LIMITS = ("min_pixels", "max_pixels")
VIDEO_LIMITS = (*IMAGE_LIMITS, "fps", "min_frames", "max_frames")


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What was asked, apart from any model.

    Attributes:
        model: As the client wrote it.
        messages: As the client wrote them.
        choices: Answers wanted.
        is_stream: Whether the answer is streamed.
        has_usage: Whether the stream tells the counts at its end.
        has_logprobs: Whether logprobs are sent.
        top_logprobs: Most likely tokens beside each.
        max_tokens: Most tokens of the answer.
        limit_name: The field that says so.
        stop: Strings that end it.
        format: What it must obey.
        sampling: What was said about sampling.
        thinking: What was said about the thought.
        speculate: Whether tokens are guessed; None as the server does.
        continues_last: Whether the last message is gone on with.
        tools: Declared tools and how they may be used.
        media: Limits for pictures and videos.
        ignored: Fields that were not understood.
    """

    model: str | None
    messages: Sequence[Json]
    choices: int
    is_stream: bool
    has_usage: bool
    has_logprobs: bool
    top_logprobs: int
    max_tokens: int | None
    limit_name: str
    stop: tuple[str, ...]
    format: Format
    sampling: Sampling
    thinking: Thinking
    speculate: bool | None
    continues_last: bool
    tools: ToolUse
    media: Mapping[str, Mapping[str, Json]]
    ignored: tuple[str, ...]

    @property
    def places(self) -> tuple[str, ...]:
        """Where the messages of the engine's requests stand in the client's."""
        return joined_places(self.messages)

    @property
    def names(self) -> dict[str, str]:
        """What fields of the engine's requests are called in the client's."""
        own = {
            "max_tokens": self.limit_name,
            "thinking_budget": self.thinking.name,
            "template_variables": "chat_template_kwargs",
            "continue_last": "continue_final_message",
        }
        return {**own, **self.format.names, **self.sampling.names}

    def make(self, engine: Engine, *, door: MediaDoor, limits: ServerLimits) -> list[Request]:
        """Build the engine's requests, one for each choice; pictures that are named are fetched here.

        Raises:
            EdgeError: A value is wrong, or a picture cannot be had.
        """
        max_tokens = self.max_tokens or limits.answer_tokens
        first = Request(
            messages=door.open_messages(join_leading(self.messages)),
            tools=self.tools.declared or None,
            tool_choice=self.tools.choice,
            parallel_tool_calls=self.tools.is_parallel,
            schema=self.format.schema,
            grammar=self.format.grammar,
            sampling=self.sampling.params(engine.default_sampling),
            max_tokens=max_tokens,
            stop=self.stop,
            thinking_budget=self.thinking.budget_for(max_tokens),
            speculate=self.speculate,
            continue_last=self.continues_last,
            image=self.media.get("image"),
            video=self.media.get("video"),
            template_variables=self.thinking.template_variables,
            top_logprobs=self.top_logprobs if self.has_logprobs else None,
            allow_files=False,
            max_visual_tokens=limits.visual_tokens,
        )
        return siblings(first, self.choices)


def read_chat_request(body: Mapping[str, Json], *, limits: ServerLimits) -> ChatRequest:
    """Check a body.

    Raises:
        ApiError: A value is of the wrong type or out of range; `param` names it.
    """
    fields = Fields(body)
    model = fields.text("model")
    messages = fields.any("messages")
    if not isinstance(messages, list) or not messages:
        raise fields.wrong("messages", "a list with at least one message", messages)
    for place, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise fields.wrong(f"messages[{place}]", "an object with role and content", message)
    messages = [_without_prefix(message, f"messages[{place}].prefix") for place, message in enumerate(messages)]
    idle = [*_names_of(messages), *_idle_keys(messages)]
    messages = [_without_idle(message) for message in messages]
    refuse_orphans(messages)
    max_tokens, limit_name = read_max_tokens(fields, "max_completion_tokens", "max_tokens", limits=limits)
    choices = fields.between("n", 1, limits.choices)
    options = fields.inner("stream_options")
    has_usage = options.flag("include_usage")
    has_logprobs, top_logprobs = fields.flag("logprobs"), fields.between("top_logprobs", 0, MAX_TOP_LOGPROBS)
    tools = read_tools(fields)
    form = read_format(fields)
    request = ChatRequest(
        model=model,
        messages=messages,
        choices=choices or 1,
        is_stream=fields.flag("stream"),
        has_usage=has_usage,
        has_logprobs=has_logprobs or bool(top_logprobs),
        top_logprobs=top_logprobs or 0,
        max_tokens=max_tokens,
        limit_name=limit_name,
        stop=read_stop(fields),
        format=form,
        sampling=read_sampling(fields),
        thinking=read_thinking(fields),
        speculate=fields.wish("speculate"),
        continues_last=_read_continued(fields),
        tools=tools,
        media=read_media_limits(fields),
        ignored=(),
    )
    fields.ignore(*NO_EFFECT)
    refuse_elsewhere(fields, CHAT)
    ignored = (*fields.left, *options.left, *form.ignored, *request.thinking.ignored, *tools.ignored)
    ignored = (*ignored, *idle, *idle_options(messages))
    return replace(request, ignored=ignored)


def _read_continued(fields: Fields) -> bool:
    """Take whether the last message is gone on with, in vLLM's two words."""
    is_continued, opens_turn = fields.flag("continue_final_message"), fields.wish("add_generation_prompt")
    if opens_turn is not None and opens_turn == is_continued:
        expected = (
            "false beside continue_final_message" if is_continued else "true, or continue_final_message beside it"
        )
        raise fields.wrong("add_generation_prompt", expected, opens_turn)
    return is_continued


def _without_prefix(message: Mapping[str, Json], where: str) -> Mapping[str, Json]:
    """Refuse another server's word for going on with a message; false, which its client always sends, says nothing."""
    if "prefix" not in message:
        return message
    if message["prefix"]:
        why = 'is not read here. To have the last message gone on with, write "continue_final_message": true'
        raise ApiError("invalid_request", f"{where}: {why} beside messages.", param=where)
    return {key: value for key, value in message.items() if key != "prefix"}


def _names_of(messages: Sequence[Mapping[str, Json]]) -> list[str]:
    """Say where somebody who speaks has a name: templates leave it out."""
    named = [one.get("role") != "tool" and bool(one.get("name")) for one in messages]
    return [f"messages[{place}].name" for place, has_name in enumerate(named) if has_name]


def _idle_keys(messages: Sequence[Mapping[str, Json]]) -> list[str]:
    """Name what client libraries and other servers add to answers, which come back in the next request."""
    found = []
    for place, message in enumerate(messages):
        kept = _without_idle(message)
        found += [f"messages[{place}].{key}" for key, value in message.items() if value is not None and key not in kept]
    return found


def _without_idle(message: Mapping[str, Json]) -> Mapping[str, Json]:
    """Leave such keys out; those of other messages, and unknown ones that say something, are refused later."""
    if message.get("role") != "assistant":
        return message
    return {key: value for key, value in message.items() if key in ANSWER_KEYS}


def read_max_tokens(fields: Fields, *names: str, limits: ServerLimits) -> tuple[int | None, str]:
    """Take the most tokens of an answer under the first of some names that has them; return that name too."""
    given = {name: fields.whole(name) for name in names}
    name = next((one for one in names if given[one] is not None), names[-1])
    found = given[name]
    if found is not None and (found < 1 or found > (limits.answer_tokens or found)):
        raise fields.wrong(name, f"1 to {limits.answer_tokens or 'the context'}", found)
    return found, name


def read_stop(fields: Fields) -> tuple[str, ...]:
    """Take the stop strings: one, or a list of up to 16."""
    stop = fields.any("stop")
    stops = [stop] if isinstance(stop, str) else stop or []
    if not isinstance(stops, list) or len(stops) > 16 or not all(isinstance(one, str) and one for one in stops):
        raise fields.wrong("stop", "text, or a list of up to 16 texts that are not empty", stop)
    return tuple(stops)


def read_media_limits(fields: Fields) -> dict[str, dict[str, Json]]:
    """Take limits for all pictures and videos, as vLLM's clients write them."""
    given = fields.object("mm_processor_kwargs") or {}
    image = {key: value for key, value in given.items() if key in IMAGE_LIMITS}
    video = {key: value for key, value in given.items() if key in VIDEO_LIMITS}
    unknown = sorted(set(given) - set(video))
    if unknown:
        raise fields.wrong("mm_processor_kwargs", ", ".join(VIDEO_LIMITS), unknown[0])
    for key, value in given.items():
        kinds = int | float if key == "fps" else int
        if value is not None and (not isinstance(value, kinds) or isinstance(value, bool) or value <= 0):
            raise fields.wrong(f"mm_processor_kwargs.{key}", "a number over 0", value)
    return {"image": image, "video": video}


def siblings(first: Request, choices: int) -> list[Request]:
    """Make the requests of several choices: the same, each further one with a seed and a cancel of its own."""
    requests = [first]
    for place in range(1, choices):
        sampling = first.sampling
        if isinstance(sampling, SamplingParams) and sampling.seed is not None:
            sampling = replace(sampling, seed=(sampling.seed + place) % (1 << 64))
        requests.append(replace(first, sampling=sampling, cancel=threading.Event()))
    return requests
