from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from llguidance import LLMatcher, LLTokenizer

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


def admits(schema: Json, text: str) -> bool:
    """Tell whether llguidance lets a whole text pass; its tokens are bytes."""
    tokenizer = LLTokenizer("byte")
    matcher = LLMatcher(tokenizer, LLMatcher.grammar_from_json_schema(json.dumps(schema)))
    assert not matcher.is_error(), matcher.get_error()
    token_ids = tokenizer.tokenize_str(text)
    return matcher.try_consume_tokens(token_ids) == len(token_ids) and bool(matcher.is_accepting())


@pytest.mark.parametrize("kind", [{"type": "number"}, {"type": ["number", "null"]}])
@pytest.mark.parametrize(
    ("bounds", "inside", "outside"),
    [
        ({"exclusiveMinimum": 13, "exclusiveMaximum": 14}, ["13.9", "13.0001"], ["13.99999999999999999", "14.0", "13"]),
        ({"exclusiveMinimum": 0, "maximum": 0.5}, ["0.5", "0.25"], ["0", "0.0", "0.00000000000000000001"]),
        ({"minimum": -0.5, "exclusiveMaximum": 0}, ["-0.5", "-0.25"], ["-0", "0", "-0.00000000000000000001"]),
        ({"exclusiveMinimum": 1, "exclusiveMaximum": 1.5}, ["1.2", "1.49"], ["1", "1.0", "1.499999999999999999"]),
        ({"exclusiveMinimum": -14}, ["-13.9", "5"], ["-13.99999999999999999", "-14", "-14.0"]),
        ({"minimum": 0, "exclusiveMinimum": 0, "maximum": 0.5}, ["0.5", "0.25"], ["0", "0.0", "0e0"]),
        ({"minimum": -0.5, "maximum": 2, "exclusiveMaximum": 0}, ["-0.5", "-0.25"], ["0", "-0", "0.5"]),
        ({"exclusiveMaximum": 1e6}, ["999999.5", "-1"], ["999999.99999999999999999", "1000000"]),
    ],
)
def test_no_text_is_read_as_an_open_bound(kind: Json, bounds: Json, inside: list[str], outside: list[str]) -> None:
    asked = kind | bounds
    held = check_schema({"anyOf": [asked]}, field="schema")
    for text in inside:
        assert admits(held, text), text
        jsonschema.validate(json.loads(text), asked)
    assert not any(admits(held, text) for text in outside)
    assert any(admits({"anyOf": [asked]}, text) for text in outside), "the grammar would keep to it by itself"
    assert asked == kind | bounds, "the caller's schema was changed"


def test_a_closed_bound_that_is_nearer_stays() -> None:
    held = check_schema({"type": "number", "minimum": 3, "exclusiveMinimum": 1, "maximum": 5}, field="schema")
    assert held == {"type": "number", "minimum": 3, "maximum": 5}


def test_whole_numbers_keep_their_open_bounds() -> None:
    schema = {"type": "integer", "exclusiveMinimum": 13, "exclusiveMaximum": 15}
    assert check_schema(schema, field="schema") == schema
    assert [number for number in range(10, 20) if admits(schema, str(number))] == [14]
