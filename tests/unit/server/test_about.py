"""The OpenAPI document, held against what the server really answers."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from edge.server.app import PROTOCOLS
from tests.unit.server.conftest import Caller

Json = Any
CHAT = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 6, "temperature": 0}
RESPONSE = {"input": "Hi", "max_output_tokens": 6, "temperature": 0}


@pytest.fixture
def document(caller: Caller) -> Json:
    return caller.get("/openapi.json").json


def check(document: Json, schema: Json, value: Json) -> None:
    jsonschema.validate(value, {**schema, "components": document["components"]})


def test_every_route_of_a_protocol_is_in_the_document(document: Json) -> None:
    for protocol in PROTOCOLS:
        for route in protocol.routes:
            path = route.path.replace(":path}", "}")
            methods = {method.lower() for method in route.methods or ()} - {"head"}
            assert methods <= set(document["paths"][path]), path


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", CHAT),
        ("/v1/chat/completions", {**CHAT, "logprobs": True, "top_logprobs": 2, "n": 2, "reasoning_effort": "none"}),
        ("/v1/chat/completions/input_tokens", CHAT),
        ("/v1/completions", {"prompt": "Hi", "max_tokens": 4, "logprobs": 1}),
        ("/v1/responses", RESPONSE),
        ("/v1/responses/input_tokens", RESPONSE),
    ],
)
def test_answers_and_requests_are_as_the_document_says(caller: Caller, document: Json, path: str, body: Json) -> None:
    operation = document["paths"][path]["post"]
    check(document, operation["requestBody"]["content"]["application/json"]["schema"], body)
    reply = caller.post(path, body)
    assert reply.status == 200
    check(document, operation["responses"]["200"]["content"]["application/json"]["schema"], reply.json)


@pytest.mark.parametrize("path", ["/health", "/v1/models", "/v1/models/demo"])
def test_what_is_read_is_as_the_document_says(caller: Caller, document: Json, path: str) -> None:
    operation = document["paths"][path.replace("/demo", "/{name}")]["get"]
    check(document, operation["responses"]["200"]["content"]["application/json"]["schema"], caller.get(path).json)


def test_chunks_are_as_the_document_says(caller: Caller, document: Json) -> None:
    events = caller.chat(stream=True, stream_options={"include_usage": True}).events
    for event in events[:-1]:
        check(document, {"$ref": "#/components/schemas/ChatChunk"}, event)


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/chat/completions", {}), ("/v1/responses", {"input": []}), ("/v1/embeddings", {}), ("/v1/completions", {})],
)
def test_refusals_are_as_the_document_says(caller: Caller, document: Json, path: str, body: Json) -> None:
    reply = caller.post(path, body)
    assert reply.status in (400, 501)
    check(document, {"$ref": "#/components/schemas/Error"}, reply.json)
