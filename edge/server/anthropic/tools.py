"""Read which tools a model may call, and how, in Anthropic's words."""

from __future__ import annotations

from typing import Any

from edge.server.fields import Fields
from edge.server.openai.tools import ToolUse

Json = Any
KNOWN = ("type", "name", "description", "input_schema", "cache_control", "strict", "eager_input_streaming")


def read_tools(fields: Fields) -> ToolUse:
    """Take `tools` and `tool_choice`; tools that Anthropic's own servers run are left out, and said.

    Raises:
        ApiError: A tool or the choice is not of a known shape.
    """
    declared: list[dict[str, Json]] = []
    ignored = []
    for place, tool in enumerate(fields.items("tools")):
        where = f"tools[{place}]"
        if not isinstance(tool, dict):
            raise fields.wrong(where, "an object", tool)
        kind = tool.get("type") or "custom"
        if kind != "custom":
            ignored.append(f"{where}.type={str(kind)[:40]}")
            continue
        ignored += [f"{where}.{key}" for key, value in tool.items() if key not in KNOWN and value is not None]
        name, schema = tool.get("name"), tool.get("input_schema")
        if not isinstance(name, str) or not name:
            raise fields.wrong(f"{where}.name", "text", name)
        if not isinstance(schema, dict):
            raise fields.wrong(f"{where}.input_schema", "a JSON Schema", schema)
        strict = Fields(tool, where=f"{where}.").wish("strict")
        function = {"name": name, "description": tool.get("description"), "parameters": schema, "strict": strict}
        function = {key: value for key, value in function.items() if value is not None}
        declared.append({"type": "function", "function": function})
    given = fields.inner("tool_choice")
    choice, is_parallel = _read_choice(given, [tool["function"]["name"] for tool in declared])
    return ToolUse(tuple(declared), choice, is_parallel, (*ignored, *given.left))


def _read_choice(choice: Fields, names: list[str]) -> tuple[str, bool]:
    kind = choice.choice("type", ("auto", "any", "tool", "none"))
    if kind is None and choice.left:
        raise choice.wrong("type", "auto, any, tool or none", None)
    is_parallel = not choice.flag("disable_parallel_tool_use")
    if kind == "tool":
        name = choice.text("name")
        if name not in names:
            raise choice.wrong("name", f"a declared tool ({', '.join(names)[:200]})", name)
        assert name is not None
        return name, is_parallel
    if kind == "any" and not names:
        raise choice.wrong("type", "auto or none, as no tool is declared that runs here", kind)
    return {"any": "required", "none": "none"}.get(kind or "", "auto"), is_parallel
