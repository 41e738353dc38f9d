"""Describe Ollama's protocol for /openapi.json."""

from __future__ import annotations

from functools import partial
from typing import Any

from edge.server.describe import (
    FLAG,
    NULL,
    OBJECT,
    TEXT,
    WARNINGS,
    WHOLE,
    either,
    list_of,
    object_of,
    operation,
    sampling,
)

Json = Any
LINES = "application/x-ndjson"
_TEXT: Json = {"type": ["string", "null"]}
_PICTURES: Json = {"type": ["array", "null"], "items": {"type": "string", "minLength": 1}}
_OPTIONS: Json = {
    "type": ["object", "null"],
    "properties": {
        "num_predict": {"type": ["integer", "null"], "description": "-1: until the context is full."},
        "temperature": sampling("temperature"),
        "top_k": {"type": ["integer", "null"]},
        "top_p": sampling("top_p", low=0),
        "min_p": sampling("min_p"),
        "repeat_penalty": sampling("repetition_penalty"),
        "presence_penalty": sampling("presence_penalty"),
        "frequency_penalty": sampling("frequency_penalty"),
        "seed": {"type": ["integer", "null"]},
        "stop": either(TEXT, list_of({"type": "string", "minLength": 1}), NULL),
    },
}
_COMMON: dict[str, Json] = {
    "model": {**_TEXT, "description": "A name from /api/tags; without one, the default model."},
    "stream": {**FLAG, "description": "Lines of JSON; the default."},
    "format": either({"enum": ["", "json"]}, OBJECT, NULL),
    "think": either({"type": "boolean"}, {"enum": ["", "low", "medium", "high", "max"]}, NULL),
    "options": _OPTIONS,
    "keep_alive": either({"type": "number"}, TEXT, NULL),
    "logprobs": FLAG,
    "top_logprobs": {"type": ["integer", "null"], "minimum": 0, "maximum": 20},
}
_END: dict[str, Json] = {
    "done_reason": {"enum": ["stop", "length", "load", "unload"]},
    **{f"{name}_duration": WHOLE for name in ("total", "load", "prompt_eval", "eval")},
    "prompt_eval_count": WHOLE,
    "eval_count": WHOLE,
    "logprobs": list_of(OBJECT),
    "warnings": WARNINGS,
}
_HEAD: dict[str, Json] = {"model": TEXT, "created_at": TEXT, "done": {"type": "boolean"}}
_CALL: Json = object_of({"id": TEXT, "function": object_of({"index": WHOLE, "name": TEXT, "arguments": OBJECT})})
_MODEL: Json = object_of(
    {"name": TEXT, "model": TEXT, "size": WHOLE, "digest": TEXT, "details": OBJECT},
    modified_at=TEXT,
    capabilities=list_of(TEXT),
    expires_at=TEXT,
    size_vram=WHOLE,
    context_length=WHOLE,
)

SCHEMAS: dict[str, Json] = {
    "OllamaError": object_of({"error": TEXT}),
    "OllamaChatRequest": object_of(
        {},
        **_COMMON,
        messages={
            "type": ["array", "null"],
            "items": object_of(
                {"role": {"enum": ["system", "user", "assistant", "tool"]}},
                content=_TEXT,
                thinking=_TEXT,
                images=_PICTURES,
                tool_calls={"type": ["array", "null"], "items": object_of({"function": OBJECT})},
                tool_name=_TEXT,
            ),
        },
        tools={"type": ["array", "null"], "items": OBJECT},
    ),
    "OllamaChat": object_of(
        {
            **_HEAD,
            "message": object_of(
                {"role": {"const": "assistant"}, "content": TEXT}, thinking=TEXT, tool_calls=list_of(_CALL)
            ),
        },
        **_END,
    ),
    "OllamaGenerateRequest": object_of({}, **_COMMON, prompt=_TEXT, system=_TEXT, images=_PICTURES, raw=FLAG),
    "OllamaGenerate": object_of({**_HEAD, "response": TEXT}, thinking=TEXT, **_END),
    "OllamaModels": object_of({"models": list_of(_MODEL)}),
    "OllamaName": object_of({}, model=_TEXT, name=_TEXT, stream=FLAG),
    "OllamaShow": object_of(
        {"details": OBJECT, "model_info": OBJECT, "capabilities": list_of(TEXT), "template": TEXT, "parameters": TEXT}
    ),
    "OllamaVersion": object_of({"version": TEXT}),
    "OllamaStatus": object_of({"status": TEXT}),
}

_describe = partial(operation, error="OllamaError")
_refused = _describe("Say that this is not done here.", body="OllamaName")
PATHS: dict[str, Json] = {
    "/api/chat": {
        "post": _describe("Answer a conversation.", answer="OllamaChat", body="OllamaChatRequest", stream=LINES)
    },
    "/api/generate": {
        "post": _describe("Answer a prompt.", answer="OllamaGenerate", body="OllamaGenerateRequest", stream=LINES)
    },
    "/api/tags": {"get": _describe("List the models.", answer="OllamaModels")},
    "/api/ps": {"get": _describe("List the models in memory.", answer="OllamaModels")},
    "/api/show": {"post": _describe("Describe a model.", answer="OllamaShow", body="OllamaName")},
    "/api/version": {"get": _describe("Say which version of Ollama this is like.", answer="OllamaVersion")},
    "/api/pull": {
        "post": _describe("Say that a model is there.", answer="OllamaStatus", body="OllamaName", stream=LINES)
    },
    **{f"/api/{name}": {"post": _refused} for name in ("embed", "embeddings", "create", "copy", "push")},
    "/api/delete": {"delete": _refused},
}
