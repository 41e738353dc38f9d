"""What describes OpenAI's protocol is whole: every reference leads somewhere, every schema is one."""

from __future__ import annotations

import json
import re

import jsonschema
import pytest

from edge.server.openai.schemas import SCHEMAS


@pytest.mark.parametrize("name", list(SCHEMAS))
def test_a_schema_is_valid(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])


def test_every_reference_leads_to_a_schema() -> None:
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(SCHEMAS)))
    assert "Message" in named
    assert named <= set(SCHEMAS)


@pytest.mark.parametrize(
    ("body", "is_right"),
    [
        ({"messages": [{"role": "user", "content": "Hi"}]}, True),
        ({"messages": [{"role": "user", "content": "Hi"}], "temperature": "hot"}, False),
        ({"messages": [{"role": "nobody", "content": "Hi"}]}, False),
        ({"model": "demo"}, False),
    ],
)
def test_a_chat_request_is_told_from_what_is_none(body: dict[str, object], is_right: bool) -> None:
    schema = {**SCHEMAS["ChatRequest"], "components": {"schemas": SCHEMAS}}
    assert jsonschema.Draft202012Validator(schema).is_valid(body) is is_right


@pytest.mark.parametrize(
    ("body", "is_right"),
    [
        ({"input": "Hi"}, True),
        ({"input": [], "previous_response_id": "resp_1"}, True),
        ({"previous_response_id": "resp_1", "top_p": 0}, True),
        ({"input": [], "previous_response_id": None}, False),
        ({"model": "demo"}, False),
    ],
)
def test_a_response_asks_something_or_goes_on(body: dict[str, object], is_right: bool) -> None:
    schema = {**SCHEMAS["ResponseRequest"], "components": {"schemas": SCHEMAS}}
    assert jsonschema.Draft202012Validator(schema).is_valid(body) is is_right
