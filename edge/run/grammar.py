r"""Write what an answer must look like as one grammar: a schema, a regex or Lark text, and calls of tools.

In: the settings of a request. Out: a grammar in llguidance's language, or None where nothing is asked. A call is
Hermes JSON: `<tool_call>\n{"name": ..., "arguments": {...}}\n</tool_call>`, several of them on lines of their own.
The tags are single tokens where the vocabulary has them; text of an answer can never contain those tokens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edge.errors import RequestError
from edge.records import dataclass
from edge.run.schema import check_schema

if TYPE_CHECKING:
    from llguidance import LLParserLimits

# Schemas and tools are JSON.
Json = Any

MAX_GRAMMAR_CHARACTERS = 64_000
OPEN_CALL, CLOSE_CALL = "<tool_call>", "</tool_call>"

# One space, or a new line with its indentation: what models write; without a limit some never stop writing blanks.
# Escapes like \u0061 are left out: with two spellings of a name, a property could slip past its own schema.
_JSON_FORM = {"whitespace_pattern": r"[ ]|\n[ ]{0,64}", "json_allowed_escapes": '"\\bfnrt'}
# Marks for boxes that older Qwen models write in free text; all other added tokens would end or break a turn.
_FREE_TOKENS = tuple(f"<|{name}_{end}|>" for name in ("object_ref", "box", "quad") for end in ("start", "end"))


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call.

    Attributes:
        name: Its name.
        parameters: JSON Schema of its arguments as given; it is checked where it is enforced.
        is_strict: Whether its calls are asked to obey the schema even where calling is free.
    """

    name: str
    parameters: Json
    is_strict: bool


def read_tools(tools: Sequence[Mapping[str, Json]] | None) -> list[Tool]:
    """Read tool declarations, in OpenAI's shape or the bare function.

    Raises:
        RequestError: A name is missing or comes twice.
    """
    found: list[Tool] = []
    for i, entry in enumerate(tools or ()):
        function = entry.get("function", entry) if isinstance(entry, Mapping) else None
        name = function.get("name") if isinstance(function, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(name, str) or not name:
            raise RequestError(f"tools: expected a function with a name at place {i}, found none.", field="tools")
        if any(tool.name == name for tool in found):
            raise RequestError(f"tools: expected each name once, found {name!r} twice. Rename one.", field="tools")
        found.append(Tool(name, function.get("parameters"), function.get("strict") is True))
    return found


def build_grammar(
    *,
    schema: Json = None,
    grammar: Mapping[str, str] | None = None,
    tools: Sequence[Mapping[str, Json]] | None = None,
    tool_choice: str = "auto",
    parallel_tool_calls: bool = True,
    token_names: Collection[str] = (),
) -> str | None:
    """Write the grammar of an answer.

    Args:
        schema: A JSON Schema, or "json" for any JSON object; None asks nothing.
        grammar: {"regex": "..."} or {"lark": "..."}; None asks nothing.
        tools: Tool declarations.
        tool_choice: "auto", "none", "required", or the name of a tool.
        parallel_tool_calls: Whether an answer may hold several calls; a tool chosen by name is called once.
        token_names: Texts of the vocabulary's added tokens.

    Returns:
        llguidance's JSON form, or None where any text will do: nothing asked, or tools that may be called freely.

    Raises:
        RequestError: With `field` "schema", "grammar", "tools" or "tool_choice".
    """
    chosen = _choose(tools, tool_choice)
    answer = _answer_grammar(schema, grammar)
    has_schema = answer is not None
    is_forced = tool_choice not in ("auto", "none")
    if not tools or (tool_choice == "none" and has_schema):
        return None if answer is None else _written([answer])
    if tool_choice == "auto" and not has_schema and not any(tool.is_strict for tool in chosen):
        return None
    is_named = is_forced and tool_choice != "required"
    if tool_choice == "auto" and not has_schema:  # a schema that nobody asked to enforce may hold anything
        chosen = [tool if tool.is_strict else replace(tool, parameters={"type": "object"}) for tool in chosen]
    calls = _call_rules(chosen, token_names, is_repeated=parallel_tool_calls and not is_named)
    if is_forced:
        return _written([{"lark_grammar": "\n".join(["start: calls", *calls])}])
    if answer is not None:
        return _written([{"lark_grammar": "\n".join(["start: calls | @answer", *calls])}, {"name": "answer", **answer}])
    free = _free_rules(token_names)
    if tool_choice == "none":
        return _written([{"lark_grammar": "\n".join(["start: free", *free])}])
    times = "*" if parallel_tool_calls else "?"
    return _written([{"lark_grammar": "\n".join([f"start: free (call free){times}", *free, *calls])}])


def _written(grammars: list[dict[str, str]]) -> str:
    return json.dumps({"grammars": grammars})


def _choose(tools: Sequence[Mapping[str, Json]] | None, tool_choice: str) -> list[Tool]:
    """Read the tools that may be called."""
    field = "tool_choice"
    if not isinstance(tool_choice, str):
        raise RequestError(
            f'{field}: expected "auto", "none", "required" or a tool\'s name, found {tool_choice!r:.60}. Change it.',
            field=field,
        )
    if tool_choice == "none":
        return []
    if tool_choice != "auto" and not tools:
        raise RequestError(f"{field}: expected tools with {tool_choice!r:.60}, found none. Give tools.", field=field)
    found = read_tools(tools)
    if tool_choice in ("auto", "required"):
        return found
    chosen = [tool for tool in found if tool.name == tool_choice]
    if not chosen:
        names = ", ".join(tool.name for tool in found)
        raise RequestError(
            f"{field}: expected the name of a tool ({names[:200]}), found {tool_choice!r:.60}. Change it.", field=field
        )
    return chosen


def _answer_grammar(schema: Json, grammar: Mapping[str, str] | None) -> dict[str, str] | None:
    if schema is None and grammar is None:
        return None
    if grammar is None:
        if isinstance(schema, str):
            if schema != "json":
                raise RequestError(
                    f'schema: expected a JSON Schema or "json", found {schema!r:.60}. Change it.', field="schema"
                )
            schema = {"type": "object"}
        checked = check_schema(schema, field="schema")
        _check_compiles(checked, field="schema", of_what="")
        return {"lark_grammar": f"start: {_json_rule(checked)}"}
    if schema is not None:
        raise RequestError("grammar: expected a schema or a grammar, found both. Remove one.", field="grammar")
    return _own_grammar(grammar)


def _own_grammar(grammar: Mapping[str, str]) -> dict[str, str]:
    kinds = list(grammar.items()) if isinstance(grammar, Mapping) else []
    if len(kinds) != 1 or kinds[0][0] not in ("regex", "lark") or not isinstance(kinds[0][1], str):
        raise RequestError(
            f'grammar: expected {{"regex": "..."}} or {{"lark": "..."}}, found {grammar!r:.60}. Change it.',
            field="grammar",
        )
    kind, text = kinds[0]
    if len(text) > MAX_GRAMMAR_CHARACTERS:
        raise RequestError(
            f"grammar: expected at most {MAX_GRAMMAR_CHARACTERS} characters, found {len(text)}. Shorten it.",
            field="grammar",
        )
    if not text.isprintable() and any("\ud800" <= character <= "\udfff" for character in text):
        raise RequestError("grammar: expected Unicode text, found a lone surrogate. Remove it.", field="grammar")
    if kind == "lark":
        return {"lark_grammar": text}
    from llguidance import regex_to_lark

    # "d": digits are 0-9; a model under a mask would otherwise write other scripts' digits into dates.
    return {"lark_grammar": f"start: /{regex_to_lark(text, use_ascii='d')}/"}


def _arguments_schema(tool: Tool) -> Json:
    """Check a tool's parameters; arguments are an object, and a tool without parameters takes an empty one."""
    if tool.parameters is None or tool.parameters == {}:
        return {"type": "object", "properties": {}, "additionalProperties": False}
    of_what = f" of the parameters of {tool.name!r:.60}"
    schema = check_schema(tool.parameters, field="tools", of_what=of_what)
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        raise RequestError(
            f'tools: expected type "object"{of_what}, found another type. Change it.',
            field="tools",
        )
    schema = {**schema, "type": "object"}
    _check_compiles(schema, field="tools", of_what=of_what)
    return schema


def _check_compiles(schema: Json, *, field: str, of_what: str) -> None:
    """Refuse a schema that llguidance cannot enforce in full, by the name of its own setting."""
    from llguidance import LLMatcher

    is_error, found = LLMatcher.validate_grammar_with_warnings(
        json.dumps({"grammars": [{"lark_grammar": f"start: {_json_rule(schema)}"}]}), limits=parser_limits()
    )
    if is_error or found:
        raise RequestError(
            f"{field}: expected a schema that can be enforced, found{of_what}: {plain_reason(found[0])}. Change it.",
            field=field,
        )


def parser_limits() -> LLParserLimits:
    """Bound what one grammar may cost: at most about 150 MB of lexer states, some 15 ms a token."""
    from llguidance import LLParserLimits

    return LLParserLimits(max_lexer_states=100_000, max_grammar_size=20_000, verbose_errors=False)


def plain_reason(report: str) -> str:
    """Take one line out of llguidance's report, which shows places in a grammar that the caller never saw."""
    if report.startswith("panic"):
        return "it is too large or too complex"
    text = " ".join(report.split("\n   1 |")[0].replace("<non-verbose/>", "").split())
    text = re.sub(r"^at \d+\(\d+\): ", "", text)
    for noise in ("failed to compile JSON schema: ", "Parser Error: "):
        text = text.replace(noise, "")
    if "failed: Default retriever" in text:
        return "a $ref to another document (only those within the schema, #/..., are followed)"
    if "coerce_one_of" in text:
        return "a oneOf whose choices may fit at once (anyOf can be kept)"
    return "no text obeys them" if text == "NoExtensionBias" else text[:200].rstrip(". ")


def _call_rules(tools: Sequence[Tool], token_names: Collection[str], *, is_repeated: bool) -> list[str]:
    rules = [
        'calls: call ("\\n" call)*' if is_repeated else "calls: call",
        f'call: {_tag(OPEN_CALL, token_names)} "\\n" ({" | ".join(f"call_{i}" for i in range(len(tools)))}) '
        f'"\\n" {_tag(CLOSE_CALL, token_names)}',
    ]
    for i, tool in enumerate(tools):
        head = f'{{"name": {json.dumps(tool.name, ensure_ascii=False)}, "arguments": '
        rules += [
            f'call_{i}: {_literal(head)} arguments_{i} "}}"',
            f"arguments_{i}: {_json_rule(_arguments_schema(tool))}",
        ]
    return rules


def _free_rules(token_names: Collection[str]) -> list[str]:
    """Allow any text but the opening of a call, in whatever tokens it is spelled."""
    marks = [name for name in _FREE_TOKENS if name in token_names]
    between = f" (({' | '.join(marks)}) TEXT?)*" if marks else ""
    return [f"free: TEXT?{between}", f"TEXT: /(.|\\n)+/ & ~/(.|\\n)*{OPEN_CALL}(.|\\n)*/"]


def _tag(name: str, token_names: Collection[str]) -> str:
    return name if name in token_names else _literal(name)


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _json_rule(schema: Json) -> str:
    """Embed a checked schema; a bare True becomes an object, which alone can carry the form."""
    as_object = schema if isinstance(schema, dict) else {} if schema else {"enum": []}
    return f"%json {json.dumps({**as_object, 'x-guidance': _JSON_FORM})}"
