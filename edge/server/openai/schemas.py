"""Describe OpenAI's protocol for /openapi.json: what is read, what is sent back, and with which statuses."""

from __future__ import annotations

from typing import Any

Json = Any
TEXT: Json = {"type": "string"}
WHOLE: Json = {"type": "integer", "minimum": 0}
ANY: Json = {}
OBJECT: Json = {"type": "object"}


def _object(required: dict[str, Json], **optional: Json) -> dict[str, Json]:
    return {"type": "object", "properties": {**required, **optional}, "required": list(required)}


def _list(items: Json) -> dict[str, Json]:
    return {"type": "array", "items": items}


def _or_null(schema: Json) -> dict[str, Json]:
    return {"anyOf": [schema, {"type": "null"}]}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _number(low: float, high: float | None = None) -> dict[str, Json]:
    bounds = {"minimum": low} if high is None else {"minimum": low, "maximum": high}
    return {"type": ["number", "null"], **bounds}


_SAMPLING: dict[str, Json] = {
    "temperature": _number(0),
    "top_p": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1},
    "top_k": {"type": ["integer", "null"], "minimum": -1},
    "min_p": _number(0, 1),
    "presence_penalty": _number(-2, 2),
    "frequency_penalty": _number(-2, 2),
    "repetition_penalty": {"type": ["number", "null"], "exclusiveMinimum": 0},
    "seed": {"type": ["integer", "null"]},
    "logit_bias": {
        "type": ["object", "null"],
        "propertyNames": {"pattern": "^[0-9]{1,9}$"},
        "additionalProperties": {"type": "number", "minimum": -100, "maximum": 100},
    },
}
_COMMON: dict[str, Json] = {
    "model": {"type": ["string", "null"], "description": "A name from /v1/models; without one, the default model."},
    "stream": {"type": ["boolean", "null"]},
    **_SAMPLING,
}
_EFFORT: Json = {"enum": ["none", "minimal", "low", "medium", "high", "xhigh", "ultra", "max", None]}
_STOP: Json = {
    "anyOf": [{"type": "string", "minLength": 1}, _list({"type": "string", "minLength": 1}), {"type": "null"}]
}
_CALL: Json = _object({"id": TEXT, "type": TEXT, "function": _object({"name": TEXT, "arguments": TEXT})})
_USAGE: Json = _object(
    {"prompt_tokens": WHOLE, "completion_tokens": WHOLE, "total_tokens": WHOLE},
    prompt_tokens_details=_object({"cached_tokens": WHOLE}),
    completion_tokens_details=_object({"reasoning_tokens": WHOLE}),
)
_TOKEN: Json = _object({"token": TEXT, "logprob": {"type": "number"}, "bytes": _list(WHOLE)})
_LOGPROBS: Json = _or_null(_object({"content": _list(_TOKEN)}))
_REASON: Json = {"enum": ["stop", "length", "tool_calls"]}

SCHEMAS: dict[str, Json] = {
    "Error": _object(
        {"error": _object({"message": TEXT, "type": TEXT, "param": _or_null(TEXT), "code": _or_null(TEXT)})}
    ),
    "Model": _object({"id": TEXT, "object": {"const": "model"}, "created": WHOLE, "owned_by": TEXT}),
    "ModelList": _object({"object": {"const": "list"}, "data": _list(_ref("Model"))}),
    "Message": _object(
        {"role": {"enum": ["system", "developer", "user", "assistant", "tool"]}},
        content={"anyOf": [TEXT, _list(OBJECT), {"type": "null"}]},
        reasoning_content=_or_null(TEXT),
        tool_calls={"type": ["array", "null"], "items": OBJECT},
        tool_call_id=_or_null(TEXT),
        name=_or_null(TEXT),
    ),
    "ChatRequest": _object(
        {"messages": {"type": "array", "minItems": 1, "items": _ref("Message")}},
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
    "ChatCompletion": _object(
        {
            "id": TEXT,
            "object": {"const": "chat.completion"},
            "created": WHOLE,
            "model": TEXT,
            "choices": _list(
                _object(
                    {
                        "index": WHOLE,
                        "message": _object(
                            {"role": {"const": "assistant"}, "content": _or_null(TEXT)},
                            reasoning_content=TEXT,
                            tool_calls=_list(_CALL),
                        ),
                        "finish_reason": _REASON,
                    },
                    logprobs=_LOGPROBS,
                )
            ),
            "usage": _USAGE,
        },
        timings=OBJECT,
    ),
    "ChatChunk": _object(
        {
            "id": TEXT,
            "object": {"const": "chat.completion.chunk"},
            "created": WHOLE,
            "model": TEXT,
            "choices": _list(
                _object({"index": WHOLE, "delta": OBJECT, "finish_reason": _or_null(_REASON)}, logprobs=_LOGPROBS)
            ),
        },
        usage=_USAGE,
        timings=OBJECT,
    ),
    "CompletionRequest": _object(
        {
            "prompt": {
                "anyOf": [{"type": "string", "minLength": 1}, _list({"type": "string", "minLength": 1})],
                "description": "Goes to the model as it is, around the chat template.",
            }
        },
        **_COMMON,
        max_tokens={"type": ["integer", "null"], "minimum": 1},
        n={"type": ["integer", "null"], "minimum": 1},
        stop=_STOP,
        logprobs={"type": ["integer", "null"], "minimum": 0, "maximum": 20},
    ),
    "Completion": _object(
        {
            "id": TEXT,
            "object": {"const": "text_completion"},
            "created": WHOLE,
            "model": TEXT,
            "choices": _list(
                _object({"index": WHOLE, "text": TEXT, "finish_reason": _or_null(_REASON)}, logprobs=_or_null(OBJECT))
            ),
        },
        usage=_USAGE,
    ),
    "ResponseRequest": _object(
        {"input": {"anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "minItems": 1, "items": OBJECT}]}},
        **_COMMON,
        instructions=_or_null(TEXT),
        max_output_tokens={"type": ["integer", "null"], "minimum": 1},
        previous_response_id=_or_null(TEXT),
        store={"type": ["boolean", "null"]},
        tools={"type": ["array", "null"], "items": OBJECT},
        tool_choice={"anyOf": [TEXT, OBJECT, {"type": "null"}]},
        parallel_tool_calls={"type": ["boolean", "null"]},
        text={"type": ["object", "null"]},
        reasoning={"type": ["object", "null"]},
        speculate={"type": ["boolean", "null"]},
        include={"type": ["array", "null"], "items": TEXT},
        metadata={"type": ["object", "null"]},
    ),
    "Response": _object(
        {
            "id": TEXT,
            "object": {"const": "response"},
            "created_at": WHOLE,
            "status": {"enum": ["in_progress", "completed", "incomplete", "failed"]},
            "model": TEXT,
            "output": _list(_object({"id": TEXT, "type": {"enum": ["message", "reasoning", "function_call"]}})),
            "error": _or_null(OBJECT),
            "incomplete_details": _or_null(OBJECT),
            "usage": _or_null(_object({"input_tokens": WHOLE, "output_tokens": WHOLE, "total_tokens": WHOLE})),
        }
    ),
    "TokenCount": _object({"input_tokens": WHOLE}, object=TEXT),
    "Deleted": _object({"id": TEXT, "object": {"const": "response.deleted"}, "deleted": {"const": True}}),
    "EmbeddingRequest": _object({}, model=_or_null(TEXT), input=ANY),
}


def _operation(summary: str, *, answer: str | None, body: str | None = None, is_stream: bool = False) -> Json:
    content: dict[str, Json] = {"application/json": {"schema": _ref(answer)}} if answer else {}
    if is_stream:
        content["text/event-stream"] = {"schema": TEXT}
    responses: dict[str, Json] = {"200": {"description": "Done.", "content": content}} if answer else {}
    responses["default"] = {"description": "Refused.", "content": {"application/json": {"schema": _ref("Error")}}}
    operation: dict[str, Json] = {"summary": summary, "responses": responses}
    if body:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(body)}}}
    return operation


def _with_id(name: str, **operations: Json) -> Json:
    parameter = {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    return {"parameters": [parameter], **operations}


PATHS: dict[str, Json] = {
    "/v1/models": {"get": _operation("List the models.", answer="ModelList")},
    "/v1/models/{name}": _with_id("name", get=_operation("Describe a model.", answer="Model")),
    "/v1/chat/completions": {
        "post": _operation("Answer a conversation.", answer="ChatCompletion", body="ChatRequest", is_stream=True)
    },
    "/v1/chat/completions/input_tokens": {
        "post": _operation("Count a conversation's tokens.", answer="TokenCount", body="ChatRequest")
    },
    "/v1/completions": {
        "post": _operation("Go on with a text.", answer="Completion", body="CompletionRequest", is_stream=True)
    },
    "/v1/responses": {
        "post": _operation("Answer a list of items.", answer="Response", body="ResponseRequest", is_stream=True)
    },
    "/v1/responses/input_tokens": {
        "post": _operation("Count the tokens of items.", answer="TokenCount", body="ResponseRequest")
    },
    "/v1/responses/{id}": _with_id(
        "id",
        get=_operation("Return a response that is kept.", answer="Response"),
        delete=_operation("Forget a response.", answer="Deleted"),
    ),
    "/v1/embeddings": {"post": _operation("Say that there are none (501).", answer=None, body="EmbeddingRequest")},
}
