"""Write chat completions: whole, and piece by piece.

In: answers and events. Out: JSON of `chat.completion`, and the pieces of a stream of `chat.completion.chunk`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

from edge.answer import Answer
from edge.engine import Engine
from edge.events import (
    Event,
    FinishEvent,
    NoteEvent,
    ReasoningEvent,
    TextEvent,
    TokenEvent,
    ToolCall,
    ToolCallDeltaEvent,
    Usage,
)
from edge.server.asking import Asking
from edge.server.errors import ApiError
from edge.server.openai.errors import error_body
from edge.server.streams import sse

Json = Any


class Heading:
    """What all pieces of one answer share."""

    def __init__(self, model: str, *, prefix: str = "chatcmpl") -> None:
        self.id = f"{prefix}-{uuid.uuid4().hex}"
        self.created = int(time.time())
        self.model = model

    def body(self, kind: str, choices: list[Json], **more: Json) -> dict[str, Json]:
        """Return the object of one kind."""
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "choices": choices,
            **more,
        }


def whole_body(asking: Asking, answers: Sequence[Answer], *, has_logprobs: bool) -> dict[str, Json]:
    """Return the body of a whole answer."""
    heading = Heading(asking.model.entry.name)
    choices = [
        {
            "index": index,
            "message": message_body(answer),
            "logprobs": logprobs_body(asking.engine, answer.logprobs) if has_logprobs else None,
            "finish_reason": answer.finish_reason,
        }
        for index, answer in enumerate(answers)
    ]
    usages = [answer.usage for answer in answers]
    return heading.body("chat.completion", choices, usage=usage_body(usages), timings=timings_body(usages[0]))


def message_body(answer: Answer) -> dict[str, Json]:
    """Return the assistant's message of an answer."""
    message: dict[str, Json] = {"role": "assistant", "content": answer.text, "refusal": None}
    if answer.reasoning:
        message["reasoning_content"] = answer.reasoning
    if answer.tool_calls:
        message["content"] = answer.text or None
        message["tool_calls"] = [_call_body(call) for call in answer.tool_calls]
    return message


async def stream_chat(asking: Asking, *, has_usage: bool, has_logprobs: bool) -> AsyncIterator[bytes]:
    """Write the stream of an answer; a failure on the way becomes an error object in it."""
    heading = Heading(asking.model.entry.name)
    writers = [_ChoiceWriter(asking.engine, index, has_logprobs=has_logprobs) for index in range(len(asking.runs))]

    def chunk(choices: list[Json], **more: Json) -> bytes:
        return sse(heading.body("chat.completion.chunk", choices, **more))

    for writer in writers:
        yield chunk([writer.choice({"role": "assistant", "content": ""})])
    usages: dict[int, Usage] = {}
    try:
        async for place, event in asking.events():
            choice = writers[place].write(event)
            if isinstance(event, FinishEvent):
                usages[place] = event.usage
                is_last = len(usages) == len(writers)
                more = {"timings": timings_body(event.usage)} if is_last else {}
                yield chunk([choice], **more)
            elif choice is not None:
                yield chunk([choice])
    except ApiError as error:
        yield sse(error_body(error))
        return
    if has_usage:
        yield chunk([], usage=usage_body([usages[place] for place in sorted(usages)]))
    yield sse("[DONE]")


class _ChoiceWriter:
    """Turns the events of one choice into the choices of chunks."""

    def __init__(self, engine: Engine, index: int, *, has_logprobs: bool) -> None:
        self._engine = engine
        self._index = index
        self._has_logprobs = has_logprobs
        self._tokens: list[TokenEvent] = []

    def choice(self, delta: Json, finish_reason: str | None = None) -> dict[str, Json]:
        """Return a chunk's choice, with the logprobs of the tokens that came since the last."""
        logprobs = None
        if self._has_logprobs and self._tokens:
            logprobs = logprobs_body(self._engine, self._tokens)
            self._tokens = []
        return {"index": self._index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}

    def write(self, event: Event) -> dict[str, Json] | None:
        match event:
            case TextEvent():
                return self.choice({"content": event.text})
            case ReasoningEvent():
                return self.choice({"reasoning_content": event.text})
            case ToolCallDeltaEvent():
                return self.choice({"tool_calls": [_delta_body(event)]})
            case TokenEvent() if is_shown(event):
                self._tokens.append(event)
            case FinishEvent():
                return self.choice({}, event.reason)
            case NoteEvent():
                pass
        return None


def usage_body(usages: Sequence[Usage]) -> dict[str, Json]:
    """Return the counts of a request; its prompt counts once, however many answers it has."""
    completion = sum(usage.completion_tokens for usage in usages)
    return {
        "prompt_tokens": usages[0].prompt_tokens,
        "completion_tokens": completion,
        "total_tokens": usages[0].prompt_tokens + completion,
        "prompt_tokens_details": {"cached_tokens": usages[0].cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": sum(usage.reasoning_tokens for usage in usages)},
    }


def timings_body(usage: Usage) -> dict[str, Json]:
    """Return counts and speeds as llama.cpp's server tells them, which several programs show."""
    guesses = {"draft_n": usage.guessed_tokens, "draft_n_accepted": usage.accepted_tokens}
    return {
        **(guesses if usage.guessed_tokens else {}),
        "cache_n": usage.cached_tokens,
        "prompt_n": usage.prompt_tokens - usage.cached_tokens,
        "prompt_ms": round(1000 * (usage.prefill_s + usage.vision_s), 3),
        "prompt_per_second": round(usage.prefill_tokens_per_s, 3),
        "predicted_n": usage.completion_tokens,
        "predicted_ms": round(1000 * usage.decode_s, 3),
        "predicted_per_second": round(usage.decode_tokens_per_s, 3),
    }


def is_shown(token: TokenEvent) -> bool:
    """Tell whether a token's logprob is sent: the thought's are not, and forced tokens have none."""
    return not token.is_reasoning and token.logprob is not None


def logprobs_body(engine: Engine, tokens: Sequence[TokenEvent]) -> dict[str, Json]:
    """Return tokens with their logprobs and the most likely ones beside them."""
    content = []
    for token in tokens:
        entry = _token_body(engine, token.token_id, token.logprob or 0.0)
        entry["top_logprobs"] = [_token_body(engine, one, value) for one, value in token.top_logprobs]
        content.append(entry)
    return {"content": content, "refusal": None}


def _token_body(engine: Engine, token_id: int, logprob: float) -> dict[str, Json]:
    data = engine.processor.tokenizer.token_bytes(token_id)
    # JSON has no minus infinity; OpenAI's own stand-in for it is this number.
    return {"token": data.decode("utf-8", "replace"), "logprob": max(logprob, -9999.0), "bytes": list(data)}


def _call_body(call: ToolCall) -> dict[str, Json]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _delta_body(event: ToolCallDeltaEvent) -> dict[str, Json]:
    body: dict[str, Json] = {"index": event.index, "function": {"arguments": event.arguments}}
    if event.id:
        body |= {"id": event.id, "type": "function"}
    if event.name:
        body["function"] = {"name": event.name, "arguments": event.arguments}
    return body
