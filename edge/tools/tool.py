"""One tool: what the model is told about it, how it is called, and what a call gave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from edge.events import ToolCall
from edge.records import dataclass
from edge.text.tools import tool_from_function, tool_result_message

# Arguments and results are JSON, results may hold pictures; both are checked where they are used.
Json = Any


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool.

    Attributes:
        declaration: What the model is told, in OpenAI's shape.
        call: Takes the arguments of a call and returns its result; may raise anything.
        origin: Where it comes from, for the user: a file, "built in", an MCP server.
        needs_consent: Whether the user is asked before each run.
        is_closed: Whether arguments that the declaration does not name are refused.
    """

    declaration: Mapping[str, Json]
    call: Callable[[Mapping[str, Json]], Json]
    origin: str = ""
    needs_consent: bool = True
    is_closed: bool = True

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.declaration["function"]["name"])

    @property
    def description(self) -> str:
        """What it does, in the words the model gets."""
        return str(self.declaration["function"].get("description", ""))

    @property
    def parameters(self) -> Mapping[str, Json]:
        """The JSON Schema of its arguments."""
        parameters: Mapping[str, Json] = self.declaration["function"].get("parameters") or {"type": "object"}
        return parameters


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call gave.

    Attributes:
        call: The call.
        content: Text, or content parts (text and pictures) as in a message.
        is_error: Whether the content says why there is no result.
        seconds: How long it ran.
    """

    call: ToolCall
    content: str | list[dict[str, Json]]
    is_error: bool = False
    seconds: float = 0.0

    @property
    def text(self) -> str:
        """The text of the content, a mark in place of each picture."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part["text"] if part.get("type") == "text" else f"[{part['type']}]" for part in self.content)

    def message(self) -> dict[str, Json]:
        """Return the message that tells the model."""
        return tool_result_message(self.call, self.content)


@dataclass(frozen=True, slots=True)
class ToolResultEvent:
    """A call was carried out, refused or failed; comes between the answers of two rounds."""

    result: ToolResult


def function_tool(function: Callable[..., Json], *, origin: str = "", needs_consent: bool = True) -> Tool:
    """Make a tool of a typed Python function.

    Raises:
        PromptError: Its signature cannot be declared.
    """

    def call(arguments: Mapping[str, Json]) -> Json:
        return function(**arguments)

    return Tool(tool_from_function(function), call, origin, needs_consent)
