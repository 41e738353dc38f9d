"""A model that knows nothing writes under the masks: what comes out obeys, and what models write is let through."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.validators import validator_for

import edge
from edge.errors import RequestError
from edge.prompt.text.tokenizer import Tokenizer
from edge.run.constrain import Constraint, ConstraintFactory
from tests.real_tokenizer import real_tokenizer
from tests.unit.run.schemas import duplicate_names, random_schema, random_text, random_tools

Json = Any  # schemas and tools are JSON

VOCAB = 1100  # more rows than the demo's 1024 tokens
TOKENIZER = Tokenizer.from_folder(Path(edge.__file__).parent / "demo")
END_IDS = frozenset(TOKENIZER.added_tokens[name] for name in ("<|im_end|>", "<|endoftext|>"))
FACTORY = ConstraintFactory(TOKENIZER, vocab_size=VOCAB, end_ids=END_IDS)
WEATHER = {
    "name": "weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 9}, "days": {"type": "integer", "minimum": 1}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
TOOLS: Json = [{"type": "function", "function": WEATHER}, {"name": "now"}]
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Köln", "days": 2}}\n</tool_call>'
NOW = '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>'


def made(factory: ConstraintFactory = FACTORY, **settings: Json) -> Constraint:
    constraint = factory.make(**settings)
    assert constraint is not None
    return constraint


def takes(constraint: Constraint, tokens: Sequence[int]) -> bool:
    """Feed tokens as long as they are allowed: whether all were and the answer is whole."""
    for token in tokens:
        if constraint.is_finished or not constraint.allowed()[token]:
            return False
        constraint.accept(token)
    return constraint.is_complete


def takes_text(text: str, **settings: Json) -> bool:
    return takes(made(**settings), TOKENIZER.encode_plain(text))


def written(seed: int, **settings: Json) -> tuple[str, list[int]]:
    tokens, is_finished = random_text(made(**settings), TOKENIZER, seed=seed)
    assert is_finished
    return TOKENIZER.decode(tokens), tokens


def check_instance(text: str, schema: Json) -> None:
    checker = FormatChecker(["date", "ipv4", "uuid"])
    Draft202012Validator(schema, format_checker=checker).validate(json.loads(text))
    assert not duplicate_names(text)


@pytest.mark.parametrize("seed", range(200))
def test_random_text_under_a_schema_validates(seed: int) -> None:
    schema = random_schema(random.Random(seed))
    Draft202012Validator.check_schema(schema)
    check_instance(written(seed, schema=schema)[0], schema)


LOCAL = {"$defs": {"q": {"$anchor": "z", "type": "integer", "maximum": 3}}}
PARTS = [
    {"properties": {"a": {"type": "integer", "maximum": 5}}, "required": ["a"], "type": "object"},
    {"properties": {"b": {"enum": ["x"]}, "a": {"minimum": 3}}, "required": ["b"]},
]
KINDS = [
    {"type": "object", "properties": {"k": {"const": kind}, "v": {"type": value}}, "required": ["k", "v"]}
    for kind, value in (("x", "integer"), ("y", "boolean"))
]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "schema",
    [
        {"minimum": 3, "maxLength": 2, "maxItems": 1},
        {"type": "number", "multipleOf": 0.5, "minimum": -3, "maximum": 30},
        {"type": "integer", "exclusiveMinimum": 1.5, "exclusiveMaximum": 4},
        {"type": "number", "minimum": 0.1, "maximum": 0.30},
        {"type": "object", "patternProperties": {"^a": {"type": "integer"}}, "properties": {"ab": {"maximum": 3}}},
        {"type": "object", "minProperties": 2, "maxProperties": 3, "additionalProperties": {"type": "boolean"}},
        {"type": "object", "required": ["q"], "additionalProperties": {"type": "boolean"}},
        {"type": "object", "properties": {"a": True, "b": False}, "required": ["a"]},
        {"type": "object", "properties": {"a": {"$ref": "#"}}, "additionalProperties": False},
        {"allOf": PARTS},
        {"allOf": [{"type": "string", "pattern": "a"}, {"pattern": "b$"}, {"maxLength": 6}]},
        {"oneOf": KINDS},
        {"oneOf": [{"type": "integer"}, {"type": "string", "maxLength": 3}]},
        {
            "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
            "type": "object",
            "additionalProperties": {"type": "null"},
        },
        {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "integer"}], "type": "array"},
        {"prefixItems": [{"type": "integer"}], "items": {"type": "boolean"}, "minItems": 2, "type": "array"},
        {"enum": [1, "a", None, [1, {"a": "ü"}], {"b": {}}], "type": ["string", "array", "integer"]},
        {"$ref": "#z", **LOCAL},
        {"$ref": "#/$defs/q", "minimum": 1, **LOCAL},
        {"type": "string", "format": "email", "maxLength": 40},
    ],
)
def test_each_keyword_is_kept(schema: Json, seed: int) -> None:
    text = written(seed, schema=schema)[0]
    validator_for(schema, default=Draft202012Validator)(schema, format_checker=FormatChecker()).validate(
        json.loads(text)
    )


def calls_of(text: str, tokens: list[int]) -> list[Json]:
    """Split an answer that must be nothing but calls, each between its two single tokens."""
    parts = text.split("\n<tool_call>")
    parts = [parts[0], *(f"<tool_call>{part}" for part in parts[1:])]
    found = [re.fullmatch(r"<tool_call>\n(.*)\n</tool_call>", part, re.DOTALL) for part in parts]
    assert all(found), text
    for tag in ("<tool_call>", "</tool_call>"):
        assert tokens.count(TOKENIZER.added_tokens[tag]) == len(found)
    return [json.loads(match.group(1)) for match in found if match is not None]


@pytest.mark.parametrize("seed", range(100))
@pytest.mark.parametrize("is_named", [False, True])
def test_a_forced_call_is_always_made_and_obeys_its_schema(seed: int, is_named: bool) -> None:
    tools = random_tools(random.Random(1000 + seed))
    functions = {tool["function"]["name"]: tool["function"]["parameters"] for tool in tools}
    chosen = next(iter(functions))
    text, tokens = written(seed, tools=tools, tool_choice=chosen if is_named else "required", follows_thought=True)
    calls = calls_of(text.lstrip("\n"), tokens)
    assert {call["name"] for call in calls} <= ({chosen} if is_named else set(functions))
    assert len(calls) == 1 or not is_named
    for call in calls:
        assert list(call) == ["name", "arguments"]
        check_instance(json.dumps(call["arguments"]), functions[call["name"]])


def test_random_text_without_a_mask_is_not_what_a_schema_wants() -> None:
    with pytest.raises(json.JSONDecodeError):
        json.loads(TOKENIZER.decode(np.random.default_rng(0).integers(0, 998, size=40).tolist()))


PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "tags": {"type": "array", "items": {"enum": ["grün", "rot"]}},
        "size": {"type": "number"},
        "home": {"type": "object", "properties": {"ort": {"type": ["string", "null"]}}},
    },
    "required": ["name"],
}
GIVEN = {"name": 'Zoë "Z" \\ 名\n', "tags": ["grün", "rot"], "size": -1.5e-3, "home": {"ort": None}, "more": [1, {}]}


@pytest.mark.parametrize("indent", [None, 1, 2, 4])
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_usual_ways_to_write_json_are_let_through(indent: int | None, separators: tuple[str, str]) -> None:
    item = separators[0] if indent is None else ","
    text = json.dumps(GIVEN, indent=indent, separators=(item, separators[1]), ensure_ascii=False)
    assert takes_text(text, schema=PERSON)
    assert takes_text(text, schema="json")


@pytest.mark.parametrize(
    "text", ['{"name": "a"', '{"tags": []}', '{"name": "a"} ', '{"name": "a", "size": "1"}', "[]", ""]
)
def test_other_text_is_not(text: str) -> None:
    assert not takes_text(text, schema=PERSON)


def test_blanks_have_a_limit() -> None:
    assert takes_text('{\n  "name" : "a" }', schema=PERSON)
    assert not takes_text('{"name":  "a"}', schema=PERSON)
    assert not takes_text('{\n\n"name": "a"}', schema=PERSON)


@pytest.mark.parametrize(
    "text", ['{"\\u0061": "x"}', '{"a": 1, "\\u0061": "x"}', '{"b\\/c": "x"}', '{"b/c": 1, "b\\/c": "x"}']
)
def test_a_second_spelling_of_a_name_cannot_slip_past_its_schema(text: str) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}, "b/c": {"type": "integer"}}}
    assert not Draft202012Validator(schema).is_valid(json.loads(text))
    assert not takes_text(text, schema=schema)


@pytest.mark.parametrize(
    ("text", "is_taken"),
    [(CALL, True), (f"{NOW}\n{CALL}", True), ('{"a": 1}', True), (f'{{"a": 1}}\n{CALL}', False), ("hello", False)],
)
def test_a_free_choice_with_a_schema_is_calls_or_the_schema(text: str, is_taken: bool) -> None:
    assert takes_text(text, tools=TOOLS, schema="json") is is_taken


@pytest.mark.parametrize(
    ("text", "choice", "is_parallel", "is_taken"),
    [
        (f"{CALL}\n{NOW}\n{CALL}", "required", True, True),
        (f"{CALL}\n{NOW}", "required", False, False),
        (CALL, "required", False, True),
        (CALL, "weather", True, True),
        (f"{CALL}\n{CALL}", "weather", True, False),
        (NOW, "weather", True, False),
        ("Sure. " + CALL, "required", True, False),
        ("Sure.", "none", True, True),
        (CALL, "none", True, False),
        ("Use <tools> or a < b.", "none", True, True),
    ],
)
def test_tool_choice_rules_what_comes(text: str, choice: str, is_parallel: bool, is_taken: bool) -> None:
    assert takes_text(text, tools=TOOLS, tool_choice=choice, parallel_tool_calls=is_parallel) is is_taken


def test_a_forbidden_call_cannot_be_spelled_out() -> None:
    spelled = [token for letter in "<tool_call>" for token in TOKENIZER.encode_plain(letter)]
    assert TOKENIZER.decode(spelled) == "<tool_call>"
    assert takes(made(tools=TOOLS, tool_choice="none"), spelled[:-1])
    assert not takes(made(tools=TOOLS, tool_choice="none"), spelled)


def test_calls_of_strict_tools_obey_their_schema_in_free_text() -> None:
    strict: Json = [{"function": {**WEATHER, "strict": True}}]
    assert takes_text("Hello there.", tools=strict)
    assert takes_text(f"Let me look.\n{CALL}", tools=strict)
    assert not takes_text(CALL.replace("2", '"two"'), tools=strict)
    assert FACTORY.make(tools=TOOLS) is None


def test_the_schema_rules_alone_where_calls_are_forbidden() -> None:
    assert takes_text('{"a": 1}', tools=TOOLS, tool_choice="none", schema="json")
    assert not takes_text(CALL, tools=TOOLS, tool_choice="none", schema="json")


def test_tags_are_their_single_tokens() -> None:
    first = np.flatnonzero(made(tools=TOOLS, tool_choice="required").allowed())
    assert first.tolist() == [TOKENIZER.added_tokens["<tool_call>"]]


def test_added_tokens_come_only_where_a_grammar_names_them() -> None:
    constraint = made(schema={"type": "string"})
    constraint.accept(TOKENIZER.encode_plain('"')[0])
    assert not constraint.allowed()[sorted(TOKENIZER.added_tokens.values())].any()


@pytest.mark.parametrize(
    ("text", "is_taken"), [("ab12", True), ("ab1x", False), ("xab12", False), ("ab12 ", False), ("ab1\uff12", False)]
)
@pytest.mark.parametrize("grammar", [{"regex": r"ab\d{2}"}, {"lark": 'start: "ab" DIGITS\nDIGITS: /[0-9]{2}/'}])
def test_regex_and_lark_rule_the_whole_answer(text: str, is_taken: bool, grammar: dict[str, str]) -> None:
    assert takes_text(text, grammar=grammar) is is_taken


@pytest.mark.parametrize("seed", range(10))
def test_random_text_under_a_regex_matches_it(seed: int) -> None:
    pattern = r"(ja|nein)/[a-cü]{2,5}: \d+\.\d{2} €?"
    assert re.fullmatch(pattern, written(seed, grammar={"regex": pattern})[0])


def test_a_grammar_and_calls_go_together() -> None:
    settings = {"tools": TOOLS, "grammar": {"lark": 'start: "x" y\ny: /[0-9]/'}}
    assert takes_text("x7", **settings)
    assert takes_text(CALL, **settings)
    assert not takes_text("x", **settings)


NEWLINE = TOKENIZER.encode_plain("\n")[0]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_an_answer_after_a_thought_may_begin_with_newlines(count: int) -> None:
    body = TOKENIZER.encode_plain("ab")
    assert takes(made(grammar={"regex": "ab"}, follows_thought=True), [NEWLINE] * count + body)
    assert takes(made(grammar={"regex": "ab"}), [NEWLINE] * count + body) is (count == 0)


def test_newlines_come_before_the_answer_only_and_are_two_at_most() -> None:
    constraint = made(grammar={"regex": "ab"}, follows_thought=True)
    constraint.accept(NEWLINE)
    constraint.accept(NEWLINE)
    assert not constraint.allowed()[NEWLINE]
    constraint = made(grammar={"regex": "ab+"}, follows_thought=True)
    constraint.accept(TOKENIZER.encode_plain("ab")[0])
    assert not constraint.allowed()[NEWLINE]


def test_end_tokens_come_when_the_grammar_is_whole_and_not_before() -> None:
    constraint = made(grammar={"regex": "7{1,3}"})
    seven = TOKENIZER.encode_plain("7")[0]
    for is_complete, is_finished in [(False, False), (True, False), (True, False), (True, True)]:
        assert constraint.is_complete is is_complete
        assert constraint.is_finished is is_finished
        assert constraint.allowed()[sorted(END_IDS)].tolist() == [is_complete] * 2
        if not is_finished:
            constraint.accept(seven)
    assert set(np.flatnonzero(constraint.allowed())) == END_IDS
    constraint.accept(max(END_IDS))
    assert constraint.is_finished


def test_padding_rows_and_prompt_tokens_are_never_allowed() -> None:
    mask = made(grammar={"regex": "(.|\n)*"}).allowed()
    assert mask.shape == (VOCAB,)
    assert mask.dtype == np.bool_
    assert not mask[TOKENIZER.vocab_size :].any()
    assert not mask[TOKENIZER.added_tokens["<|image_pad|>"]]
    with pytest.raises(RequestError, match="no token may come here"):
        FACTORY.make(grammar={"lark": "start: <|image_pad|>"})


def test_a_token_that_is_not_allowed_breaks_a_promise() -> None:
    with pytest.raises(AssertionError, match="not allowed here"):
        made(schema="json").accept(TOKENIZER.encode_plain("x")[0])


def test_nothing_asked_gives_no_constraint() -> None:
    assert FACTORY.make() is None
    assert FACTORY.make(tool_choice="none") is None


def test_llguidance_is_imported_only_when_a_constraint_is_asked_for() -> None:
    code = "import sys, edge.run.constrain, edge.run.sample; sys.exit('llguidance' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_many_threads_make_constraints_of_one_vocabulary() -> None:
    factory = ConstraintFactory(TOKENIZER, vocab_size=VOCAB, end_ids=END_IDS)
    masks: list[bytes] = []

    def make() -> None:
        for _ in range(5):
            masks.append(made(factory, schema=PERSON).allowed().tobytes())

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(masks) == 40
    assert len(set(masks)) == 1


def test_a_constraint_made_on_one_thread_is_used_on_another() -> None:
    constraint = made(schema=PERSON)
    found: list[bool] = []
    tokens = TOKENIZER.encode_plain('{"name": "a"}')
    thread = threading.Thread(target=lambda: found.append(takes(constraint, tokens)))
    thread.start()
    thread.join()
    assert found == [True]


@pytest.mark.slow
def test_the_real_vocabulary_takes_calls_as_models_write_them() -> None:
    tokenizer = real_tokenizer()
    factory = ConstraintFactory(tokenizer, vocab_size=151_936, end_ids=(151_645, 151_643))
    constraint = made(factory, tools=TOOLS, tool_choice="required", follows_thought=True)
    tokens = tokenizer.encode_plain(f"\n\n{CALL}\n{NOW}")
    assert 151_657 in tokens
    assert takes(constraint, tokens)
    assert np.flatnonzero(constraint.allowed())[-2:].tolist() == [151_643, 151_645]
    assert takes(made(factory, schema=PERSON), tokenizer.encode_plain(json.dumps(GIVEN, indent=2, ensure_ascii=False)))
