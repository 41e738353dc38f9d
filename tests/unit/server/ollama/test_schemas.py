from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from tests.unit.server.conftest import Caller

Json = Any
CHAT = {"messages": [{"role": "user", "content": "Hi"}], "stream": False, "options": {"num_predict": 4}}


def check(document: Json, content: Json, value: Json) -> None:
    schema = content["application/json"]["schema"]
    jsonschema.validate(value, {**schema, "components": document["components"]})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/chat", CHAT),
        ("/api/chat", {**CHAT, "logprobs": True, "think": True, "keep_alive": "-1s", "tools": []}),
        ("/api/generate", {"prompt": "Hi", "stream": False, "options": {"num_predict": 4}}),
        ("/api/generate", {"stream": False}),
        ("/api/show", {"model": "demo"}),
        ("/api/pull", {"model": "demo", "stream": False}),
    ],
)
def test_requests_and_answers_are_as_the_document_says(caller: Caller, path: str, body: Json) -> None:
    document = caller.get("/openapi.json").json
    operation = document["paths"][path]["post"]
    check(document, operation["requestBody"]["content"], body)
    reply = caller.post(path, body)
    assert reply.status == 200
    check(document, operation["responses"]["200"]["content"], reply.json)


@pytest.mark.parametrize("path", ["/api/tags", "/api/ps", "/api/version"])
def test_what_is_read_is_as_the_document_says(caller: Caller, path: str) -> None:
    document = caller.get("/openapi.json").json
    check(document, document["paths"][path]["get"]["responses"]["200"]["content"], caller.get(path).json)


def test_refusals_are_as_the_document_says(caller: Caller) -> None:
    document = caller.get("/openapi.json").json
    content = document["paths"]["/api/embed"]["post"]["responses"]["default"]["content"]
    check(document, content, caller.post("/api/embed", {"model": "demo"}).json)
