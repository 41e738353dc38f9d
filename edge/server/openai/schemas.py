"""Describe OpenAI's protocol for /openapi.json: what is read, what is sent back, and with which statuses."""

from __future__ import annotations

from functools import partial
from typing import Any

from edge.server.describe import (
    NULL,
    OBJECT,
    TEXT,
    WARNINGS,
    WHOLE,
    either,
    list_of,
    object_of,
    operation,
    ref,
    sampling,
)
from edge.server.openai.responses_items import DEFAULT_PAGE, MAX_PAGE, ORDERS

Json = Any


_SAMPLING: dict[str, Json] = {
    **{
        name: sampling(name)
        for name in ("temperature", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty")
    },
    "top_k": sampling("top_k", low=-1),  # all tokens
    "top_p": sampling("top_p", low=0),  # the likeliest token
    "seed": {"type": ["integer", "null"]},
    "logit_bias": {
        "type": ["object", "null"],
        "propertyNames": {"pattern": "^[0-9]{1,9}$"},
        "additionalProperties": {**sampling("logit_bias"), "type": "number"},
    },
}
_COMMON: dict[str, Json] = {
    "model": {"type": ["string", "null"], "description": "A name from /v1/models; without one, the default model."},
    "stream": {"type": ["boolean", "null"]},
    **_SAMPLING,
}
_EFFORT: Json = {"enum": ["none", "minimal", "low", "medium", "high", "xhigh", "ultra", "max", None]}
_WORD: Json = {"type": "string", "minLength": 1}
_STOP: Json = either(_WORD, list_of(_WORD), NULL)
_CALL: Json = object_of({"id": TEXT, "type": TEXT, "function": object_of({"name": TEXT, "arguments": TEXT})})
_USAGE: Json = object_of(
    {"prompt_tokens": WHOLE, "completion_tokens": WHOLE, "total_tokens": WHOLE},
    prompt_tokens_details=object_of({"cached_tokens": WHOLE}),
    completion_tokens_details=object_of({"reasoning_tokens": WHOLE}),
)
_TOKEN: Json = object_of({"token": TEXT, "logprob": {"type": "number"}, "bytes": list_of(WHOLE)})
_LOGPROBS: Json = either(NULL, object_of({"content": list_of(_TOKEN)}))
_REASON: Json = {"enum": ["stop", "length", "tool_calls"]}

_ASKED: Json = {"required": ["input"], "properties": {"input": {"type": ["string", "array"], "minItems": 1}}}
_CONTINUED: Json = {"required": ["previous_response_id"], "properties": {"previous_response_id": {"type": "string"}}}

SCHEMAS: dict[str, Json] = {
    "Error": object_of(
        {"error": object_of({"message": TEXT, "type": TEXT, "param": either(NULL, TEXT), "code": either(NULL, TEXT)})}
    ),
    "Model": object_of({"id": TEXT, "object": {"const": "model"}, "created": WHOLE, "owned_by": TEXT}),
    "ModelList": object_of({"object": {"const": "list"}, "data": list_of(ref("Model"))}),
    "Message": object_of(
        {"role": {"enum": ["system", "developer", "user", "assistant", "tool"]}},
        content={"anyOf": [TEXT, list_of(OBJECT), {"type": "null"}]},
        reasoning_content=either(NULL, TEXT),
        tool_calls={"type": ["array", "null"], "items": OBJECT},
        tool_call_id=either(NULL, TEXT),
        name=either(NULL, TEXT),
    ),
    "ChatRequest": object_of(
        {"messages": {"type": "array", "minItems": 1, "items": ref("Message")}},
        **_COMMON,
        max_completion_tokens={"type": ["integer", "null"], "minimum": 1},
        max_tokens={"type": ["integer", "null"], "minimum": 1},
        n={"type": ["integer", "null"], "minimum": 1},
        stop=_STOP,
        logprobs={"type": ["boolean", "null"]},
        top_logprobs={"type": ["integer", "null"], "minimum": 0, "maximum": 20},
        tools={"type": ["array", "null"], "items": OBJECT},
        tool_choice={"anyOf": [TEXT, OBJECT, {"type": "null"}]},
        parallel_tool_calls={"type": ["boolean", "null"]},
        response_format={"type": ["object", "null"]},
        reasoning_effort=_EFFORT,
        thinking_budget={"type": ["integer", "null"], "minimum": 0},
        speculate={"type": ["boolean", "null"]},
        stream_options={"type": ["object", "null"]},
    ),
    "ChatCompletion": object_of(
        {
            "id": TEXT,
            "object": {"const": "chat.completion"},
            "created": WHOLE,
            "model": TEXT,
            "choices": list_of(
                object_of(
                    {
                        "index": WHOLE,
                        "message": object_of(
                            {"role": {"const": "assistant"}, "content": either(NULL, TEXT)},
                            reasoning_content=TEXT,
                            tool_calls=list_of(_CALL),
                        ),
                        "finish_reason": _REASON,
                    },
                    logprobs=_LOGPROBS,
                )
            ),
            "usage": _USAGE,
        },
        timings=OBJECT,
        warnings=WARNINGS,
    ),
    "ChatChunk": object_of(
        {
            "id": TEXT,
            "object": {"const": "chat.completion.chunk"},
            "created": WHOLE,
            "model": TEXT,
            "choices": list_of(
                object_of({"index": WHOLE, "delta": OBJECT, "finish_reason": either(NULL, _REASON)}, logprobs=_LOGPROBS)
            ),
        },
        usage=_USAGE,
        timings=OBJECT,
        warnings=WARNINGS,
    ),
    "CompletionRequest": object_of(
        {
            "prompt": {
                "anyOf": [{"type": "string", "minLength": 1}, list_of({"type": "string", "minLength": 1})],
                "description": "Goes to the model as it is, around the chat template.",
            }
        },
        **_COMMON,
        max_tokens={"type": ["integer", "null"], "minimum": 1},
        n={"type": ["integer", "null"], "minimum": 1},
        stop=_STOP,
        logprobs={"type": ["integer", "null"], "minimum": 0, "maximum": 20},
    ),
    "Completion": object_of(
        {
            "id": TEXT,
            "object": {"const": "text_completion"},
            "created": WHOLE,
            "model": TEXT,
            "choices": list_of(
                object_of(
                    {"index": WHOLE, "text": TEXT, "finish_reason": either(NULL, _REASON)},
                    logprobs=either(NULL, OBJECT),
                )
            ),
        },
        usage=_USAGE,
        warnings=WARNINGS,
    ),
    "ResponseRequest": {"anyOf": [_ASKED, _CONTINUED]}
    | object_of(
        {},
        **_COMMON,
        input=either({"type": "string", "minLength": 1}, list_of(OBJECT), NULL),
        instructions=either(NULL, TEXT),
        max_output_tokens={"type": ["integer", "null"], "minimum": 1},
        previous_response_id=either(NULL, TEXT),
        store={"type": ["boolean", "null"]},
        tools={"type": ["array", "null"], "items": OBJECT},
        tool_choice={"anyOf": [TEXT, OBJECT, {"type": "null"}]},
        parallel_tool_calls={"type": ["boolean", "null"]},
        text={"type": ["object", "null"]},
        reasoning={"type": ["object", "null"]},
        speculate={"type": ["boolean", "null"]},
        stop=_STOP,
        include={"type": ["array", "null"], "items": TEXT},
        metadata={"type": ["object", "null"]},
    ),
    "Response": object_of(
        {
            "id": TEXT,
            "object": {"const": "response"},
            "created_at": WHOLE,
            "status": {"enum": ["in_progress", "completed", "incomplete", "failed"]},
            "model": TEXT,
            "output": list_of(object_of({"id": TEXT, "type": {"enum": ["message", "reasoning", "function_call"]}})),
            "error": either(NULL, OBJECT),
            "incomplete_details": either(NULL, OBJECT),
            "usage": either(NULL, object_of({"input_tokens": WHOLE, "output_tokens": WHOLE, "total_tokens": WHOLE})),
        },
        warnings=WARNINGS,
    ),
    "ItemList": object_of(
        {
            "object": {"const": "list"},
            "data": list_of(object_of({"id": TEXT, "type": TEXT})),
            "first_id": either(NULL, TEXT),
            "last_id": either(NULL, TEXT),
            "has_more": {"type": "boolean"},
        }
    ),
    "TokenCount": object_of({"input_tokens": WHOLE}, object=TEXT),
    "Deleted": object_of({"id": TEXT, "object": {"const": "response.deleted"}, "deleted": {"const": True}}),
    "EmbeddingRequest": object_of({}, model=either(NULL, TEXT), input={}),
}


_operation = partial(operation, error="Error")
STREAM = "text/event-stream"


def _with_id(name: str, **operations: Json) -> Json:
    parameter = {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    return {"parameters": [parameter], **operations}


def _asked(name: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "required": False, "schema": schema}


_PAGE = [
    _asked("order", {"enum": list(ORDERS), "default": "desc"}),
    _asked("limit", {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": DEFAULT_PAGE}),
    _asked("after", {**TEXT, "description": "An item's id; the page begins behind it."}),
]


PATHS: dict[str, Json] = {
    "/v1/models": {"get": _operation("List the models.", answer="ModelList")},
    "/v1/models/{name}": _with_id("name", get=_operation("Describe a model.", answer="Model")),
    "/v1/chat/completions": {
        "post": _operation("Answer a conversation.", answer="ChatCompletion", body="ChatRequest", stream=STREAM)
    },
    "/v1/chat/completions/input_tokens": {
        "post": _operation("Count a conversation's tokens.", answer="TokenCount", body="ChatRequest")
    },
    "/v1/completions": {
        "post": _operation("Go on with a text.", answer="Completion", body="CompletionRequest", stream=STREAM)
    },
    "/v1/responses": {
        "post": _operation("Answer a list of items.", answer="Response", body="ResponseRequest", stream=STREAM)
    },
    "/v1/responses/input_tokens": {
        "post": _operation("Count the tokens of items.", answer="TokenCount", body="ResponseRequest")
    },
    "/v1/responses/{id}": _with_id(
        "id",
        get=_operation("Return a response that is kept.", answer="Response"),
        delete=_operation("Forget a response.", answer="Deleted"),
    ),
    "/v1/responses/{id}/input_items": _with_id(
        "id",
        get={**_operation("List what a response that is kept was asked.", answer="ItemList"), "parameters": _PAGE},
    ),
    "/v1/embeddings": {"post": _operation("Say that there are none (501).", answer=None, body="EmbeddingRequest")},
}
