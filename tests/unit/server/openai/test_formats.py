from __future__ import annotations

from typing import Any

import pytest

from edge.server.errors import ApiError
from edge.server.fields import Fields
from edge.server.openai.formats import Format, read_format, read_text_format

Json = Any
SCHEMA = {"type": "object"}
INNER = {"name": "x", "strict": True, "description": "d", "schema": SCHEMA}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, Format()),
        ({}, Format()),
        ({"type": "text"}, Format()),
        ({"type": "json_object"}, Format("json", None, "response_format.schema")),
        ({"type": "json_object", "schema": SCHEMA}, Format(SCHEMA, None, "response_format.schema")),
        ({"type": "json_schema", "json_schema": INNER}, Format(SCHEMA, None, "response_format.json_schema.schema")),
        ({"type": "lark", "lark": "x"}, Format(None, {"lark": "x"}, "response_format.lark")),
    ],
)
def test_each_kind_is_read(given: Json, expected: Format) -> None:
    assert read_format(Fields({"response_format": given})) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, Format(name="text.format.schema")),
        ({"verbosity": "low"}, Format(name="text.format.schema")),
        ({"format": {"type": "json_object"}}, Format("json", None, "text.format.schema")),
        ({"format": {"type": "json_schema", **INNER}}, Format(SCHEMA, None, "text.format.schema")),
    ],
)
def test_each_kind_is_read_from_its_place_in_responses(given: Json, expected: Format) -> None:
    assert read_text_format(Fields({"text": given})) == expected


def test_a_format_without_a_type_is_refused_as_it_would_say_nothing() -> None:
    with pytest.raises(ApiError) as chat:
        read_format(Fields({"response_format": {"json_schema": INNER}}))
    with pytest.raises(ApiError) as responses:
        read_text_format(Fields({"text": {"format": INNER}}))
    assert (chat.value.param, responses.value.param) == ("response_format.type", "text.format.type")


def test_what_stands_beside_a_format_without_effect_is_named() -> None:
    assert read_format(Fields({"response_format": {"type": "json_object", "json_schema": INNER}})).ignored == (
        "response_format.json_schema",
    )
    beside = {"type": "json_schema", "json_schema": {**INNER, "shema": 1}}
    assert read_format(Fields({"response_format": beside})).ignored == ("response_format.json_schema.shema",)
    text = {"format": {"type": "json_object", "schema": SCHEMA}, "odd": 1}
    assert read_text_format(Fields({"text": text})).ignored == ("text.odd", "text.format.schema")
