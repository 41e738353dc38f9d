"""All tools of a talk: what the model is told about them, and how its calls are carried out.

In: calls. Out: results, always: a call of a tool that is not there, arguments that do not fit, a refusal, an
exception, a run that takes too long and a result that is too long all become a result that says so.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from typing import Any

from edge.errors import EdgeError, RequestError
from edge.events import ToolCall
from edge.options import Image
from edge.records import dataclass
from edge.tools.arguments import find_fault
from edge.tools.tool import Tool, ToolResult, function_tool

# Arguments and results are JSON.
Json = Any

Consent = Callable[[ToolCall, Tool], bool]
"""Asked before a tool runs; False refuses this call."""

MAX_SECONDS = 60.0
MAX_CHARACTERS = 16_000
"""About 4,000 tokens: a result is read with every later question."""


@dataclass(slots=True)
class ToolBox:
    """Tools by name.

    Attributes:
        consent: Asked before a tool that needs it runs; None lets all run.
        max_seconds: A call that takes longer gives a result that says so. Its thread cannot be ended and goes on.
        max_characters: Longer results are cut, and say so.
    """

    consent: Consent | None = None
    max_seconds: float = MAX_SECONDS
    max_characters: int = MAX_CHARACTERS
    _tools: dict[str, Tool] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._tools)

    @property
    def tools(self) -> tuple[Tool, ...]:
        """The tools, in the order in which they were added."""
        return tuple(self._tools.values())

    @property
    def declarations(self) -> list[Mapping[str, Json]]:
        """What the model is told, for `Request.tools`."""
        return [tool.declaration for tool in self._tools.values()]

    def add(self, tools: Iterable[Tool | Callable[..., Json]], *, origin: str = "") -> None:
        """Add tools, or typed functions.

        Raises:
            RequestError: There is one of this name.
            PromptError: A function's signature cannot be declared.
        """
        for given in tools:
            tool = given if isinstance(given, Tool) else function_tool(given, origin=origin)
            if tool.name in self._tools:
                raise RequestError(
                    f"tools: {tool.name} is there twice ({self._tools[tool.name].origin or 'given'}, "
                    f"{tool.origin or 'given'}). Rename one.",
                    field="tools",
                )
            self._tools[tool.name] = tool

    def find(self, name: str) -> Tool | None:
        """Return the tool of this name."""
        return self._tools.get(name)

    def run(self, call: ToolCall) -> ToolResult:
        """Carry out a call; never raises for what a tool does."""
        started = time.perf_counter()
        tool = self._tools.get(call.name)
        if tool is None:
            known = ", ".join(self._tools) or "none"
            return ToolResult(call, f"Error: there is no tool {call.name}. Tools: {known}.", is_error=True)
        arguments, fault = _read_arguments(call)
        fault = fault or find_fault(arguments, tool.parameters, is_closed=tool.is_closed)
        if fault is not None:
            return ToolResult(call, f"Error: {fault}. Call it again with correct arguments.", is_error=True)
        if tool.needs_consent and self.consent is not None and not self.consent(call, tool):
            return ToolResult(call, "Error: the user refused this call. Do not repeat it.", is_error=True)
        started = time.perf_counter()
        content, is_error = self._call(tool, arguments)
        return ToolResult(call, content, is_error, time.perf_counter() - started)

    def _call(self, tool: Tool, arguments: Mapping[str, Json]) -> tuple[str | list[dict[str, Json]], bool]:
        """Run a tool on a thread of its own, so that one that hangs holds nobody."""
        outcome: queue.SimpleQueue[tuple[Json, BaseException | None]] = queue.SimpleQueue()

        def work() -> None:
            try:
                outcome.put((tool.call(arguments), None))
            except BaseException as error:  # whatever a tool does, SystemExit too, is its result
                outcome.put((None, error))

        threading.Thread(target=work, name=f"tool {tool.name}", daemon=True).start()
        try:
            value, error = outcome.get(timeout=self.max_seconds)
        except queue.Empty:
            return f"Error: {tool.name} took longer than {self.max_seconds:g} s and was given up.", True
        if error is not None:
            kind = "" if isinstance(error, EdgeError) else f"{type(error).__name__}: "
            return self._cut(f"Error: {kind}{error}"), True
        try:
            return self._content(value), False
        except (TypeError, ValueError, RecursionError) as broken:
            return f"Error: {tool.name} gave what is neither text nor JSON ({broken}).", True

    def _content(self, value: Json) -> str | list[dict[str, Json]]:
        if isinstance(value, str):
            return self._cut(value)
        items = value if isinstance(value, list | tuple) else [value]
        if items and all(_is_part(item) for item in items):
            return [self._part(item) for item in items]
        return self._cut(json.dumps(value, ensure_ascii=False, allow_nan=False))

    def _part(self, item: Json) -> dict[str, Json]:
        if isinstance(item, Image):
            return item.part()
        if not isinstance(item, Mapping):
            return Image(item).part()
        return {**item, "text": self._cut(str(item.get("text", "")))} if item["type"] == "text" else dict(item)

    def _cut(self, text: str) -> str:
        if len(text) <= self.max_characters:
            return text
        return f"{text[: self.max_characters]}\n[cut: the first {self.max_characters} of {len(text)} characters]"


def _is_part(item: Json) -> bool:
    """Tell whether an item of a result is a content part or a picture."""
    if isinstance(item, Mapping):
        return item.get("type") in ("text", "image", "video")
    return isinstance(item, Image) or type(item).__module__.startswith("PIL.")


def _read_arguments(call: ToolCall) -> tuple[dict[str, Json], str | None]:
    try:
        arguments = json.loads(call.arguments)
    except (ValueError, RecursionError) as error:
        return {}, f"the arguments are no JSON ({error})"
    return (arguments, None) if isinstance(arguments, dict) else ({}, "the arguments are no JSON object")
