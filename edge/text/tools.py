"""Declare Python functions as tools, and write answers with calls and their results back as messages.

In: typed functions; calls and what they gave. Out: OpenAI tool declarations and messages, as `edge.prompt` takes them.
"""

from __future__ import annotations

import inspect
import json
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

from edge.errors import PromptError
from edge.events import ToolCall

# JSON and the annotations of a user's function: both are looked at, never trusted.
Json = Any

_SIMPLE = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
_SECTION = re.compile(r"(Args|Arguments|Parameters|Returns|Yields|Raises|Examples?|Notes?|Attributes):\s*")
_ARGUMENT = re.compile(r"(\s+)(\w+)(?:\s*\([^)]*\))?:\s*(.*)")


def tool_from_function(function: Callable[..., Any]) -> dict[str, Json]:  # Any: any function may be a tool
    """Make an OpenAI tool declaration from a typed function.

    The description is the docstring up to its first section; its `Args:` section (Google style) describes the
    parameters, and so does a string in `Annotated`. A parameter without a default is required.

    Args:
        function: A plain function or bound method. Parameters may be what JSON carries as it is: str, int, float,
            bool, None, `Literal`, lists, dicts with str keys, and unions of these; so `function(**arguments)` with
            the arguments of a call, read by `json.loads`, gets what its types promise.

    Raises:
        PromptError: A parameter has no type, one that JSON cannot carry, or cannot be given by its name.
    """
    name = getattr(function, "__name__", "")
    if not name.isidentifier():
        raise PromptError(f"A tool should be a named function, found {function!r}. Give a function made by def.")
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise PromptError(
            f"Tool {name}: its annotations cannot be read ({error}). Import the types it names."
        ) from None
    description, arguments = _read_docstring(inspect.getdoc(function) or "")
    properties: dict[str, Json] = {}
    required: list[str] = []
    for parameter in inspect.signature(function).parameters.values():
        where = f"Tool {name}, parameter {parameter.name}"
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise PromptError(f"{where}: expected one that is given by name, found {parameter}. Write it out.")
        if parameter.name not in hints:
            raise PromptError(f"{where}: expected a type, found none. Write `{parameter.name}: str` or the like.")
        schema = _schema(hints[parameter.name], where)
        if parameter.name in arguments:
            schema["description"] = arguments[parameter.name]
        if parameter.default is parameter.empty:
            required.append(parameter.name)
        elif type(parameter.default) in (str, int, float, bool):
            schema["default"] = parameter.default
        properties[parameter.name] = schema
    parameters = {"type": "object", "properties": properties, "required": required}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


def tool_result_message(call: ToolCall, content: Json) -> dict[str, Json]:
    """Make the message that tells the model what a call gave.

    Args:
        call: The call that was carried out.
        content: Text; a list of content items, each an object with a `type` (pictures are allowed); or any other JSON,
            which is written as text.

    Raises:
        PromptError: The content is not JSON.
    """
    is_items = isinstance(content, list | tuple) and all(isinstance(i, Mapping) and "type" in i for i in content)
    if not isinstance(content, str) and not (is_items and content):
        try:
            content = json.dumps(content, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise PromptError(f"The result of {call.name} should be text or JSON ({error}). Convert it.") from None
    return {"role": "tool", "tool_call_id": call.id, "name": call.name, "content": content}


def assistant_message(text: str, reasoning: str = "", calls: Sequence[ToolCall] = ()) -> dict[str, Json]:
    """Make the message of a finished answer, to go on with.

    Arguments stay the text the model wrote, so that templates write the very characters again and the kept keys and
    values fit.

    Args:
        text: The answer's text.
        reasoning: The thought before it; templates decide whether it is shown again.
        calls: The complete calls of the answer.
    """
    message: dict[str, Json] = {"role": "assistant", "content": text}
    if reasoning:
        message["reasoning_content"] = reasoning
    if calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in calls
        ]
    return message


def _schema(annotation: Any, where: str) -> dict[str, Json]:  # Any: whatever stands in the annotation
    """Write a type as JSON Schema."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    kind = origin or annotation
    if kind in _SIMPLE:
        return {"type": _SIMPLE[kind]}
    if kind is Annotated:
        notes = [note for note in arguments[1:] if isinstance(note, str)]
        return _schema(arguments[0], where) | ({"description": notes[0]} if notes else {})
    if kind is Literal:
        kinds = sorted({_SIMPLE.get(type(choice), "") for choice in arguments})
        if kinds == ["string"]:
            return {"type": "string", "enum": list(arguments)}
        if "" not in kinds:
            return {"enum": list(arguments)}
    elif kind in (typing.Union, types.UnionType):
        return {"anyOf": [_schema(argument, where) for argument in arguments]}
    elif kind in (list, Sequence):
        return {"type": "array"} | ({"items": _schema(arguments[0], where)} if arguments else {})
    elif kind in (dict, Mapping) and arguments[:1] in ((), (str,)):
        return {"type": "object"} | ({"additionalProperties": _schema(arguments[1], where)} if arguments else {})
    raise PromptError(
        f"{where}: expected a type whose values JSON carries as they are, found {annotation}. "
        f"Use str, int, float, bool, None, Literal, list, dict with str keys, or a union of these."
    )


def _read_docstring(docstring: str) -> tuple[str, dict[str, str]]:
    """Return what a docstring says before its first section, and what `Args:` says about each parameter."""
    description: list[str] = []
    arguments: dict[str, str] = {}
    section, indent, name = "", "", ""
    for line in docstring.splitlines():
        if heading := _SECTION.fullmatch(line):
            section, indent, name = heading[1], "", ""
        elif not section:
            description.append(line)
        elif section in ("Args", "Arguments", "Parameters") and line.strip():
            entry = _ARGUMENT.match(line)
            if entry and (not indent or entry[1] == indent):
                indent, name = entry[1], entry[2]
                arguments[name] = entry[3].strip()
            elif name:
                arguments[name] = f"{arguments[name]} {line.strip()}".strip()
    return "\n".join(description).strip(), arguments
