from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from tests.unit.server.conftest import Caller

Json = Any
MESSAGES = {"max_tokens": 4, "messages": [{"role": "user", "content": "Hi"}]}


def check(document: Json, content: Json, value: Json) -> None:
    schema = content["application/json"]["schema"]
    jsonschema.validate(value, {**schema, "components": document["components"]})


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
@pytest.mark.parametrize("more", [{}, {"system": "s", "thinking": {"type": "disabled"}, "top_k": 0, "tools": []}])
def test_requests_and_answers_are_as_the_document_says(caller: Caller, path: str, more: Json) -> None:
    document = caller.get("/openapi.json").json
    operation = document["paths"][path]["post"]
    check(document, operation["requestBody"]["content"], {**MESSAGES, **more})
    reply = caller.post(path, {**MESSAGES, **more})
    assert reply.status == 200
    check(document, operation["responses"]["200"]["content"], reply.json)
    check(document, operation["responses"]["default"]["content"], caller.post(path, {}).json)
