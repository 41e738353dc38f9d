from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import edge
from edge.errors import RequestError
from edge.prompt.text.tokenizer import Tokenizer
from edge.run.constrain import ConstraintFactory
from edge.run.grammar import build_grammar

Json = Any  # schemas and tools are JSON

TOKENIZER = Tokenizer.from_folder(Path(edge.__file__).parent / "demo")
FACTORY = ConstraintFactory(TOKENIZER, vocab_size=1024, end_ids=(1000,))
TOOLS: Json = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}, {"name": "g"}]


def refused(**settings: Json) -> RequestError:
    with pytest.raises(RequestError) as caught:
        FACTORY.make(**settings)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert str(caught.value).startswith(f"{caught.value.field}: expected ")
    return caught.value


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "objekt"},
        {"type": 5},
        {"properties": 5},
        {"required": "a"},
        {"enum": "abc"},
        {"enum": []},
        {"minLength": -1, "type": "string"},
        {"multipleOf": 0},
        {"type": "string", "pattern": "(a"},
        {"type": "string", "pattern": "a(?=b)"},
        {"type": "string", "pattern": r"(a)\1"},
        {"type": "string", "format": "no such"},
        {"type": "string", "minLength": 5, "maxLength": 2},
        {"type": "integer", "minimum": 3, "maximum": 2},
        {"type": "object", "required": ["a"], "additionalProperties": False},
        {"$ref": "#/$defs/missing"},
        {"$ref": "https://example.com/schema"},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
        {"oneOf": [{"type": "string"}, {"minLength": 3}]},
        {"type": "array", "uniqueItems": True},
        {"const": "\ud800"},
        {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(1000)}},
        False,
        "xml",
        5,
        [],
    ],
)
def test_a_schema_that_is_broken_or_cannot_be_kept_is_refused(schema: Json) -> None:
    assert refused(schema=schema).field == "schema"


def test_a_schema_elsewhere_is_refused_in_plain_words() -> None:
    assert str(refused(schema={"$ref": "https://example.com/schema"})) == (
        "schema: expected a schema that can be enforced, found: a $ref to another document (only those within the "
        "schema, #/..., are followed). Change it."
    )


@pytest.mark.parametrize(
    "grammar",
    [
        {"regex": "(a"},
        {"regex": "a(?=b)"},
        {"regex": r"\babc"},
        {"regex": "\ud800"},
        {"lark": 'start: "\ud800"'},
        {"regex": 5},
        {"regex": "a", "lark": 'start: "a"'},
        {"gbnf": "x"},
        {},
        "a+",
        {"lark": "start: missing"},
        {"lark": "start: start"},
        {"lark": "nonsense ::="},
        {"lark": ""},
        {"lark": 'start: %json {"x-guidance": {"lenient": true}, "uniqueItems": true}'},
        {"lark": 'start: "' + "a" * 70_000 + '"'},
    ],
)
def test_a_grammar_that_is_broken_is_refused(grammar: Json) -> None:
    assert refused(grammar=grammar).field == "grammar"


def test_a_schema_and_a_grammar_exclude_each_other() -> None:
    assert refused(schema="json", grammar={"regex": "a"}).field == "grammar"


@pytest.mark.parametrize(
    ("tools", "choice", "field"),
    [
        (TOOLS, "h", "tool_choice"),
        (TOOLS, 5, "tool_choice"),
        (TOOLS, None, "tool_choice"),
        (None, "required", "tool_choice"),
        ([], "f", "tool_choice"),
        ([{"name": ""}], "required", "tools"),
        ([{"function": {"parameters": {}}}], "required", "tools"),
        ([5], "required", "tools"),
        ([{"name": "\ud800"}], "required", "tools"),
        ([*TOOLS, {"name": "f"}], "required", "tools"),
        ([{"name": "a", "parameters": {"type": "array"}}], "required", "tools"),
        ([{"name": "a", "parameters": 5}], "required", "tools"),
        ([{"name": "a", "parameters": {"properties": {"x": {"not": {}}}}}], "a", "tools"),
        ([{"name": "a", "parameters": {"properties": {"x": {"type": "objekt"}}}}], "a", "tools"),
    ],
)
def test_wrong_tools_are_refused_by_field(tools: Json, choice: Json, field: str) -> None:
    assert refused(tools=tools, tool_choice=choice).field == field


def test_a_tool_without_parameters_takes_an_empty_object() -> None:
    text = build_grammar(tools=[{"name": "g"}], tool_choice="g")
    assert text is not None
    assert r"\"additionalProperties\": false" in text


def test_a_schema_is_checked_only_where_it_is_enforced() -> None:
    loose: Json = {"name": "a", "parameters": {"type": "object", "properties": {"x": {"uniqueItems": True}}}}
    strict: Json = {"name": "b", "strict": True, "parameters": {"type": "object"}}
    assert FACTORY.make(tools=[loose]) is None
    assert FACTORY.make(tools=[loose], tool_choice="none") is not None
    assert FACTORY.make(tools=[loose, strict]) is not None
    assert FACTORY.make(tools=[loose, strict], tool_choice="b") is not None
    assert refused(tools=[loose, strict], tool_choice="required").field == "tools"
    assert refused(tools=[{**loose, "strict": True}]).field == "tools"
    assert refused(tools=[loose], schema="json").field == "tools"


def test_nothing_asked_is_no_grammar() -> None:
    assert build_grammar() is None
    assert build_grammar(tools=TOOLS) is None


def test_tags_that_are_no_tokens_are_written_as_text() -> None:
    with_tokens = build_grammar(tools=TOOLS, tool_choice="f", token_names=["<tool_call>", "</tool_call>"])
    without = build_grammar(tools=TOOLS, tool_choice="f")
    assert with_tokens is not None
    assert without is not None
    assert "call: <tool_call> " in with_tokens
    assert r"call: \"<tool_call>\" " in without


def choices(count: int) -> Json:
    parts = [{"type": "object", "properties": {name: {"type": "string"}}} for name in ("a", "b")]
    return {"allOf": [{"anyOf": [{**part, "title": str(i)} for part in parts]} for i in range(count)]}


def doubling(levels: int) -> Json:
    defs: Json = {"a0": {"type": "string"}}
    for i in range(1, levels):
        defs[f"a{i}"] = {"allOf": [{"$ref": f"#/$defs/a{i - 1}"}, {"$ref": f"#/$defs/a{i - 1}"}]}
    return {"$ref": f"#/$defs/a{levels - 1}", "$defs": defs}


@pytest.mark.parametrize(
    "settings",
    [
        {"schema": choices(8)},
        {"schema": choices(11)},
        {"schema": choices(24)},
        {"schema": doubling(30)},
        {"schema": {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(2000)}}},
        {"schema": {"enum": [f"value {i}" for i in range(10_000)]}},
        {"schema": {"type": "array", "items": {"type": "string"}, "minItems": 100_000, "maxItems": 3_000_000}},
        {"schema": {"allOf": [{"type": "string", "pattern": f"(a|b)*a(a|b){{{i}}}"} for i in range(5, 12)]}},
        {"schema": {"type": "integer", "multipleOf": 98765, "minimum": 1, "maximum": 10**15}},
        {"grammar": {"regex": "(a+)+b"}},
        {"grammar": {"regex": "((x{1,100}){1,100}){1,100}"}},
        {"grammar": {"regex": "(a|b)*a(a|b){24}"}},
        {"grammar": {"regex": "|".join(f"w{i}x*" for i in range(8000))}},
        {"grammar": {"lark": "start: a{1,1000}\na: b{1,1000}\nb: c{1,1000}\nc: /x/{1,1000}"}},
        {"grammar": {"lark": 'start: start start | "a" | start start start'}},
    ],
)
def test_nothing_takes_long_to_compile_and_to_begin(settings: Json) -> None:
    FACTORY.prepare()
    start = time.perf_counter()
    with suppress(RequestError):  # a refusal is an answer too
        constraint = FACTORY.make(**settings)
        for _ in range(30):
            if constraint is None or constraint.is_finished:
                break
            constraint.accept(int(constraint.allowed().nonzero()[0][-1]))
    assert time.perf_counter() - start < 10.0  # 1.9 s at most on two busy cores
