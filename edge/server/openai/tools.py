"""Read which tools a model may call, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge.records import dataclass
from edge.server.fields import Fields

Json = Any


@dataclass(frozen=True, slots=True)
class ToolUse:
    """Tools of a request.

    Attributes:
        declared: Function tools, in the shape of chat completions.
        choice: "auto", "none", "required", or a tool's name.
        is_parallel: Whether an answer may hold several calls.
        ignored: Tools of kinds that are not run here, such as web search.
    """

    declared: tuple[Mapping[str, Json], ...] = ()
    choice: str = "auto"
    is_parallel: bool = True
    ignored: tuple[str, ...] = ()


def read_tools(fields: Fields) -> ToolUse:
    """Take tools in the shape of chat completions ({"function": {...}}) or of responses (flat).

    Raises:
        ApiError: A tool or the choice is not of a known shape.
    """
    declared: list[dict[str, Json]] = []
    ignored = []
    for place, tool in enumerate(fields.items("tools")):
        where = f"tools[{place}]"
        if not isinstance(tool, dict):
            raise fields.wrong(where, "an object", tool)
        kind = tool.get("type", "function")
        if kind != "function":
            ignored.append(f"{where}.type={str(kind)[:40]}")
            continue
        function = tool.get("function") or {key: value for key, value in tool.items() if key != "type"}
        if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
            raise fields.wrong(f"{where}.function", "an object with a name", function)
        _check(function, f"{where}.function" if "function" in tool else where)
        function = {key: value for key, value in function.items() if value is not None}
        declared.append({"type": "function", "function": function})
    names = [tool["function"]["name"] for tool in declared]
    choice, allowed = _read_choice(fields, names)
    if allowed is not None:
        declared = [tool for tool in declared if tool["function"]["name"] in allowed]
    is_parallel = fields.flag("parallel_tool_calls", default=True)
    return ToolUse(tuple(declared), choice, is_parallel, tuple(ignored))


def _check(function: Mapping[str, Json], where: str) -> None:
    """Refuse what a template would write down all the same, and a wish to obey that would be lost."""
    told = Fields(function, where=f"{where}.")
    told.text("description")
    told.object("parameters")
    told.wish("strict")


def _read_choice(fields: Fields, names: list[str]) -> tuple[str, list[str] | None]:
    """Return the choice, and the names it narrows the tools to."""
    given = fields.any("tool_choice")
    if given is None:
        return "auto", None
    if isinstance(given, str) and given in ("auto", "none", "required"):
        return given if names else "auto" if given != "required" else given, None
    if isinstance(given, dict):
        if given.get("type") == "allowed_tools":
            return _read_allowed(fields, given, names)
        function = given.get("function") or given
        name = function.get("name") if isinstance(function, dict) else None
        if isinstance(name, str) and name in names:
            return name, None
    expected = "auto, none, required, or a declared function" + (f" ({', '.join(names)[:200]})" if names else "")
    raise fields.wrong("tool_choice", expected, given)


def _read_allowed(fields: Fields, given: Mapping[str, Json], names: list[str]) -> tuple[str, list[str]]:
    """Return the mode and the names of a choice that narrows the tools, in its shape of chat completions or flat."""
    inner = given.get("allowed_tools", given)
    tools = inner.get("tools") if isinstance(inner, dict) else None
    if not isinstance(tools, list) or not tools or not all(isinstance(tool, dict) for tool in tools):
        raise fields.wrong("tool_choice.tools", "a list of functions", tools)
    mode = inner.get("mode", "auto")
    if mode not in ("auto", "required"):
        raise fields.wrong("tool_choice.mode", "auto or required", mode)
    functions = [tool.get("function") or tool for tool in tools]
    allowed: list[str] = []
    for function in functions:
        name = function.get("name") if isinstance(function, dict) else function
        if not isinstance(name, str) or name not in names:
            raise fields.wrong("tool_choice.tools", f"declared functions ({', '.join(names)[:200]})", name)
        allowed.append(name)
    return mode, allowed
