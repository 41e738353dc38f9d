from __future__ import annotations

from typing import Any

import pytest

from edge.errors import RequestError
from edge.run.schema import MAX_SCHEMA_DEPTH, check_schema

Json = Any  # schemas are JSON


def nested(levels: int) -> Json:
    schema: Json = {"type": "string"}
    for _ in range(levels - 1):
        schema = {"type": "array", "items": schema}
    return schema


def circular() -> Json:
    schema: Json = {"type": "object"}
    schema["properties"] = {"a": schema}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        {},
        True,
        {"type": "object", "properties": {"uniqueItems": {"type": "string"}, "not": {"type": "null"}}},
        {"$ref": "#/$defs/not", "$defs": {"not": {"enum": [{"uniqueItems": 1}]}}},
        {"title": "t", "default": {"not": 1}, "x-note": {"if": 1}, "examples": [{"nullable": True}]},
        {"items": [{"type": "string"}], "additionalItems": False},
        nested(MAX_SCHEMA_DEPTH),
    ],
)
def test_names_and_notes_are_not_taken_for_keywords(schema: Json) -> None:
    assert check_schema(schema, field="schema") == schema


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "array", "uniqueItems": True}, "'uniqueItems' at the top"),
        ({"properties": {"a": {"items": {"contains": {}}}}}, "'contains' at /properties/a/items"),
        ({"anyOf": [{}, {"not": {}}]}, "'not' at /anyOf/1"),
        ({"items": [{"if": {}}]}, "'if' at /items/0"),
        ({"additionalProperties": {"propertyNames": {}}}, "'propertyNames' at /additionalProperties"),
        ({"$defs": {"a": {"dependentRequired": {}}}}, "'dependentRequired' at /\\$defs/a"),
        ({"unevaluatedProperties": False}, "'unevaluatedProperties'"),
        ({"minimun": 3}, "'minimun' at the top. Remove it"),
        ({"type": "json_schema", "json_schema": {"schema": {}}}, "an envelope around one"),
        ({"name": "x", "strict": True, "schema": {"type": "object"}}, 'Give what lies under "schema"'),
        ({"type": "string", "nullable": True}, "'nullable' at the top. Write \"null\" into its type"),
        ({"x-guidance": {"lenient": True}}, "'x-guidance'"),
        ({"type": "number", "minimum": 1, "exclusiveMinimum": True}, "a number as exclusiveMinimum"),
        (5, "an object\\) at the top, found int"),
        ({"properties": {"a": 5}}, "an object\\) at /properties/a, found int"),
        ({"const": float("nan")}, "plain JSON"),
        ({"const": {1, 2}}, "plain JSON"),
        (circular(), "plain JSON"),
        (nested(MAX_SCHEMA_DEPTH + 1), "at most 48 levels"),
        (nested(5000), "(plain JSON|at most)"),
        ({"enum": ["a" * 300_000]}, "at most 256000 characters"),
    ],
)
def test_what_nobody_would_enforce_is_refused_by_its_place(schema: Json, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        check_schema(schema, field="schema")
    assert caught.value.field == "schema"
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_tool_is_named_in_the_message() -> None:
    with pytest.raises(RequestError, match=r"^tools: .* at /items of the parameters of 'a'\."):
        check_schema({"items": {"not": {}}}, field="tools", of_what=" of the parameters of 'a'")
