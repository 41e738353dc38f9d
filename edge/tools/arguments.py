"""Hold the arguments of a call to the tool's schema, so that a function gets what its types promise.

In: arguments and a JSON Schema. Out: what is wrong, in a sentence the model can act on. The keywords that decide
shape are checked (type, enum, const, anyOf, oneOf, allOf, properties, required, additionalProperties, items, bounds);
what else a server's schema says is left to that server.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

# Arguments and schemas are JSON.
Json = Any

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
    "array": (list,),
    "object": (dict,),
}
_BOUNDS: dict[str, Callable[[Json, Json], bool]] = {
    "minimum": lambda value, bound: value >= bound,
    "maximum": lambda value, bound: value <= bound,
    "exclusiveMinimum": lambda value, bound: value > bound,
    "exclusiveMaximum": lambda value, bound: value < bound,
    "minLength": lambda value, bound: len(value) >= bound,
    "maxLength": lambda value, bound: len(value) <= bound,
    "minItems": lambda value, bound: len(value) >= bound,
    "maxItems": lambda value, bound: len(value) <= bound,
}
_BOUNDED: dict[str, tuple[type, ...]] = {"Length": (str,), "Items": (list,)}


def find_fault(value: Json, schema: Json, *, where: str = "arguments", is_closed: bool = False) -> str | None:
    """Say what of a value its schema does not allow; None when all is well.

    Args:
        value: The value.
        schema: Its schema; True and schemas without known keywords allow everything.
        where: What the value is called in the sentence.
        is_closed: Whether properties that the outermost schema does not name are refused.
    """
    if schema is False:
        return f"{where}: nothing is allowed here"
    if not isinstance(schema, Mapping):
        return None
    return (
        _type_fault(value, schema, where)
        or _choice_fault(value, schema, where)
        or _bound_fault(value, schema, where)
        or _member_fault(value, schema, where, is_closed=is_closed)
    )


def _type_fault(value: Json, schema: Mapping[str, Json], where: str) -> str | None:
    wanted = schema.get("type")
    names = [wanted] if isinstance(wanted, str) else wanted if isinstance(wanted, list) else []
    known = [name for name in names if name in _TYPES]
    if not known or any(_is_of(value, name) for name in known):
        return None
    return f"{where}: expected {' or '.join(known)}, found {_shown(value)}"


def _is_of(value: Json, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, _TYPES[name])


def _choice_fault(value: Json, schema: Mapping[str, Json], where: str) -> str | None:
    choices = schema["enum"] if isinstance(schema.get("enum"), list) else [schema["const"]] if "const" in schema else []
    if choices and not any(
        value == choice and isinstance(value, bool) == isinstance(choice, bool) for choice in choices
    ):
        return f"{where}: expected one of {', '.join(map(_shown, choices))}, found {_shown(value)}"
    for part in schema.get("allOf") or []:
        if (fault := find_fault(value, part, where=where)) is not None:
            return fault
    for keyword in ("anyOf", "oneOf"):
        faults = [find_fault(value, part, where=where) for part in schema.get(keyword) or []]
        if faults and None not in faults:
            return " or ".join(fault for fault in faults if fault is not None)
    return None


def _bound_fault(value: Json, schema: Mapping[str, Json], where: str) -> str | None:
    for keyword, holds in _BOUNDS.items():
        bound = schema.get(keyword)
        kinds = next((kinds for end, kinds in _BOUNDED.items() if keyword.endswith(end)), (int, float))
        if bound is None or isinstance(value, bool) or not isinstance(value, kinds):
            continue
        if not holds(value, bound):
            return f"{where}: expected {keyword} {bound}, found {_shown(value)}"
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and isinstance(value, str):
        try:
            if re.search(pattern, value) is None:
                return f"{where}: expected text that matches {pattern}, found {_shown(value)}"
        except re.error:
            return None  # a pattern of another dialect: its server checks it
    return None


def _member_fault(value: Json, schema: Mapping[str, Json], where: str, *, is_closed: bool) -> str | None:
    if isinstance(value, list):
        faults = (find_fault(item, schema.get("items"), where=f"{where}[{i}]") for i, item in enumerate(value))
        return next((fault for fault in faults if fault is not None), None)
    if not isinstance(value, dict):
        return None
    properties: Mapping[str, Json] = schema.get("properties") or {}
    missing = [name for name in schema.get("required") or [] if name not in value]
    if missing:
        return f"{where}: {', '.join(missing)} is missing"
    others = False if is_closed else schema.get("additionalProperties", True)
    for name, item in value.items():
        if name not in properties and others is False:
            return f"{where}: there is no {name}, only {', '.join(properties) or 'an empty object'}"
        fault = find_fault(
            item, properties.get(name, others), where=name if where == "arguments" else f"{where}.{name}"
        )
        if fault is not None:
            return fault
    return None


def _shown(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
