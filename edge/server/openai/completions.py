"""The endpoint /v1/completions: text that goes to the model as it is, around any chat template.

In: the JSON body. Out: `text_completion` objects, whole or as a stream.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from edge.engine import Engine
from edge.events import Event, FinishEvent, ReasoningEvent, TextEvent, TokenEvent, Usage
from edge.records import dataclass
from edge.request import MAX_TOP_LOGPROBS
from edge.request import Request as EngineRequest
from edge.server.arguments import ServerLimits
from edge.server.asking import Asking, begin
from edge.server.body import read_json
from edge.server.ending import Warnings, ending_of
from edge.server.errors import ApiError
from edge.server.fields import Fields
from edge.server.json_body import JsonBody
from edge.server.openai.chat_answer import Heading, usage_body
from edge.server.openai.chat_request import NO_EFFECT, read_max_tokens, read_stop, siblings
from edge.server.openai.elsewhere import CHAT, refuse_elsewhere
from edge.server.openai.errors import error_body
from edge.server.openai.formats import Format, read_format
from edge.server.openai.said import ignored_headers
from edge.server.openai.sampling import Sampling, read_sampling
from edge.server.serving import serving_of
from edge.server.streams import ServerSentEvents, sse

Json = Any
DEFAULT_TOKENS = 16
"""OpenAI's own default here."""


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """What was asked, apart from any model."""

    model: str | None
    prompts: tuple[str, ...]
    choices: int
    is_stream: bool
    has_usage: bool
    logprobs: int | None
    max_tokens: int
    stop: tuple[str, ...]
    format: Format
    sampling: Sampling
    ignored: tuple[str, ...]

    @property
    def names(self) -> dict[str, str]:
        """What fields of the engine's requests are called in the client's."""
        return {"messages": "prompt", "raw_prompt": "prompt", **self.format.names, **self.sampling.names}

    def make(self, engine: Engine) -> list[EngineRequest]:
        """Build the engine's requests: the choices of the first prompt, then those of the next.

        Raises:
            RequestError: A value is out of range.
        """
        first = EngineRequest(
            messages=(),
            raw_prompt=self.prompts[0],
            schema=self.format.schema,
            grammar=self.format.grammar,
            sampling=self.sampling.params(engine.default_sampling),
            max_tokens=self.max_tokens,
            stop=self.stop,
            top_logprobs=self.logprobs,
            allow_files=False,
        )
        return [one for text in self.prompts for one in siblings(replace(first, raw_prompt=text), self.choices)]


def read_completion_request(body: Mapping[str, Json], *, limits: ServerLimits) -> CompletionRequest:
    """Check a body.

    Raises:
        ApiError: A value is of the wrong type or out of range.
    """
    fields = Fields(body)
    given = fields.any("prompt")
    prompts = [given] if isinstance(given, str) else given
    if not isinstance(prompts, list) or not prompts or not all(isinstance(one, str) and one for one in prompts):
        raise fields.wrong("prompt", "text, or a list of texts (token ids are not taken)", given)
    choices = fields.whole("n") or 1
    if not 1 <= choices * len(prompts) <= limits.choices:
        expected = f"at most {limits.choices} answers to all prompts together"
        raise fields.wrong("n", expected, f"{choices} to each of {len(prompts)}")
    if suffix := fields.text("suffix"):
        raise fields.wrong("suffix", "none: write the model's own marks into the prompt", suffix)
    if fields.flag("echo"):
        raise fields.wrong("echo", "false", True)
    if (best_of := fields.whole("best_of")) not in (None, choices):
        raise fields.wrong("best_of", "the same as n", best_of)
    max_tokens, _ = read_max_tokens(fields, "max_tokens", limits=limits)
    logprobs = fields.between("logprobs", 0, MAX_TOP_LOGPROBS)
    options = fields.inner("stream_options")
    form = read_format(fields)
    request = CompletionRequest(
        model=fields.text("model"),
        prompts=tuple(prompts),
        choices=choices,
        is_stream=fields.flag("stream"),
        has_usage=options.flag("include_usage"),
        logprobs=logprobs,
        max_tokens=max_tokens or min(DEFAULT_TOKENS, limits.answer_tokens or DEFAULT_TOKENS),
        stop=read_stop(fields),
        format=form,
        sampling=read_sampling(fields),
        ignored=(),
    )
    fields.ignore(*NO_EFFECT)
    refuse_elsewhere(fields, CHAT)
    return replace(request, ignored=(*fields.left, *options.left, *form.ignored))


async def completions(http: Request) -> Response:
    """Go on with a text."""
    request = read_completion_request(await read_json(http), limits=serving_of(http).options.limits)
    asking = await begin(http, request.model, request.make, names=request.names)
    headers = ignored_headers(request.ignored)
    if request.is_stream:
        pieces = stream_completion(asking, request)
        return ServerSentEvents(pieces, asking=asking, headers=headers)
    async with asking:
        all_events = await asking.all_events()
        heading = Heading(asking.model.entry.name, prefix="cmpl")
        choices = [_whole_choice(asking.engine, index, events) for index, events in enumerate(all_events)]
        ends = [event for events in all_events for event in events if isinstance(event, FinishEvent)]
        usage = _usage([end.usage for end in ends], request.choices)
        more = Warnings(event for events in all_events for event in events).body
        return JsonBody(heading.body("text_completion", choices, usage=usage, **more), headers=headers)


async def stream_completion(asking: Asking, request: CompletionRequest) -> AsyncIterator[bytes]:
    """Write the stream of an answer; a failure on the way becomes an error object in it."""
    heading = Heading(asking.model.entry.name, prefix="cmpl")
    chunk = partial(heading.body, "text_completion")
    tokens: list[list[TokenEvent]] = [[] for _ in asking.runs]
    offsets = [0] * len(asking.runs)
    usages: dict[int, Usage] = {}
    warnings = Warnings()
    try:
        async for place, event in asking.events():
            warnings.add(event)
            if isinstance(event, TokenEvent) and event.logprob is not None:
                tokens[place].append(event)
            elif isinstance(event, TextEvent | ReasoningEvent):
                logprobs = _logprobs(asking.engine, tokens[place], offset=offsets[place])
                tokens[place], offsets[place] = [], offsets[place] + len(event.text)
                yield sse(chunk([_choice(place, event.text, logprobs, None)]))
            elif isinstance(event, FinishEvent):
                usages[place] = event.usage
                more = warnings.body if len(usages) == len(asking.runs) else {}
                rest = _logprobs(asking.engine, tokens[place], offset=offsets[place])  # of text that a stop string took
                yield sse(chunk([_choice(place, "", rest, ending_of(event))], **more))
    except ApiError as error:
        yield sse(error_body(error))
        return
    if request.has_usage:
        yield sse(chunk([], usage=_usage([usages[place] for place in sorted(usages)], request.choices)))
    yield sse("[DONE]")


def _whole_choice(engine: Engine, index: int, events: Sequence[Event]) -> dict[str, Json]:
    # A thought that the text itself began is part of what follows it.
    text = "".join(event.text for event in events if isinstance(event, TextEvent | ReasoningEvent))
    tokens = [event for event in events if isinstance(event, TokenEvent)]
    end = events[-1]
    assert isinstance(end, FinishEvent), "an answer ends with its finish event"
    return _choice(index, text, _logprobs(engine, tokens, offset=0), ending_of(end))


def _choice(index: int, text: str, logprobs: Json, reason: str | None) -> dict[str, Json]:
    return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason}


def _logprobs(engine: Engine, tokens: Sequence[TokenEvent], *, offset: int) -> dict[str, Json] | None:
    """Write logprobs in the older shape: lists side by side."""
    if not tokens:
        return None
    texts = [_text_of(engine, token.token_id) for token in tokens]
    starts = [offset]
    for text in texts[:-1]:
        starts.append(starts[-1] + len(text))
    top = [{_text_of(engine, one): max(value, -9999.0) for one, value in token.top_logprobs} for token in tokens]
    return {
        "tokens": texts,
        "token_logprobs": [max(token.logprob or 0.0, -9999.0) for token in tokens],
        "top_logprobs": top,
        "text_offset": starts,
    }


def _text_of(engine: Engine, token_id: int) -> str:
    return engine.processor.tokenizer.token_bytes(token_id).decode("utf-8", "replace")


def _usage(usages: Sequence[Usage], choices: int) -> dict[str, Json]:
    """Count each prompt once, as its first answer found it."""
    body, firsts = usage_body(usages), usages[::choices]
    body["prompt_tokens"] = sum(usage.prompt_tokens for usage in firsts)
    body["total_tokens"] = body["prompt_tokens"] + body["completion_tokens"]
    body["prompt_tokens_details"] = {"cached_tokens": sum(usage.cached_tokens for usage in firsts)}
    return body
