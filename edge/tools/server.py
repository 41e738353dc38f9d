"""Take the tools of an MCP server, started by a command or found at an address, through the official client.

In: `COMMAND` or `URL`. Out: tools for a `ToolBox`. The client is asynchronous; it lives on a thread of its own, with
its own loop, until the server is closed. Needs the extra `mcp`, which is imported only here.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import shlex
import tempfile
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from edge.errors import EdgeError, UsageError
from edge.tools.tool import Tool

if TYPE_CHECKING:
    from mcp import Client
    from mcp.types import CallToolResult

# Arguments and results are JSON.
Json = Any

START_SECONDS = 30.0
CLOSE_SECONDS = 5.0


class McpServer:
    """A connected server; `close` it, or use it in a `with` block."""

    def __init__(self, target: str, *, needs_consent: bool = True) -> None:
        """Connect and list the tools.

        Args:
            target: A command with its arguments, as a shell would split it, or an http(s) address.
            needs_consent: Whether the user is asked before each run.

        Raises:
            UsageError: The extra is missing, or the server does not come up.
        """
        try:
            import mcp  # noqa: F401  # its absence is told before a thread is started
        except ImportError:
            raise UsageError("--mcp needs the MCP client. Install it: pip install 'qwen3vl-edge[mcp]'.") from None
        self.target = target
        self.tools: tuple[Tool, ...] = ()
        self._needs_consent = needs_consent
        self._ready: Future[Client] = Future()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._errors: TextIO = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._thread = threading.Thread(target=self._work, name=f"mcp {target}", daemon=True)
        self._thread.start()
        try:
            self._client = self._ready.result(START_SECONDS)
        except TimeoutError:
            raise self._refusal(f"it did not answer within {START_SECONDS:g} s") from None
        except Exception as error:  # the border of a foreign program and its client
            raise self._refusal(_reason(error)) from None

    def close(self) -> None:
        """End the connection, and a server that was started for it."""
        self._end_thread()
        self._errors.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def _end_thread(self) -> None:
        if self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # the loop may close by itself at this moment
                self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(CLOSE_SECONDS)

    def _work(self) -> None:
        """Run the client's loop, on its own thread."""
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:  # goes to whoever waits; afterwards nobody does
            if not self._ready.done():
                self._ready.set_exception(error)
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        from mcp import Client, StdioServerParameters, stdio_client

        if self.target.startswith(("http://", "https://")):
            client = Client(self.target)
        else:
            command, *arguments = shlex.split(self.target) or [""]
            parameters = StdioServerParameters(command=command, args=arguments, env=dict(os.environ))
            client = Client(stdio_client(parameters, errlog=self._errors))
        async with client:
            self.tools = await self._list(client)
            self._ready.set_result(client)
            await self._stop.wait()

    async def _list(self, client: Client) -> tuple[Tool, ...]:
        tools, cursor = [], None
        while True:
            page = await client.list_tools(cursor=cursor)
            tools += [self._tool(one.name, one.description or "", one.input_schema) for one in page.tools]
            cursor = page.next_cursor
            if cursor is None:
                return tuple(tools)

    def _tool(self, name: str, description: str, schema: Mapping[str, Json]) -> Tool:
        def call(arguments: Mapping[str, Json]) -> Json:
            waiting = asyncio.run_coroutine_threadsafe(self._client.call_tool(name, dict(arguments)), self._loop)
            return _content(waiting.result())

        function = {"name": name, "description": description, "parameters": dict(schema)}
        declaration = {"type": "function", "function": function}
        return Tool(declaration, call, f"MCP: {self.target}", self._needs_consent, is_closed=False)

    def _refusal(self, reason: str) -> UsageError:
        """Say why it did not come up, with the last it said, and let go of it."""
        self._end_thread()
        self._errors.seek(0)
        said = [line.strip() for line in self._errors.read().splitlines() if line.strip()]
        self._errors.close()
        tail = f" It said: {said[-1][:200]}." if said else ""
        return UsageError(f"--mcp {self.target}: {reason}.{tail} Check the command or address.")


def _reason(error: BaseException) -> str:
    """Name the innermost of grouped errors."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    if isinstance(error, FileNotFoundError):
        return "there is no such program"
    return f"{type(error).__name__}: {error}".splitlines()[0].rstrip(".")


def _content(result: CallToolResult) -> Json:
    """Turn a server's result into text or content parts."""
    from mcp.types import ImageContent, TextContent

    parts: list[dict[str, Json]] = []
    for block in result.content:
        if isinstance(block, TextContent):
            parts.append({"type": "text", "text": block.text})
        elif isinstance(block, ImageContent):
            parts.append({"type": "image", "image": base64.b64decode(block.data)})
        else:
            parts.append({"type": "text", "text": f"[{block.type}: the model cannot take this kind]"})
    if result.is_error:
        raise EdgeError("; ".join(part["text"] for part in parts if part["type"] == "text") or "no reason given")
    if not parts:
        return result.structured_content or "(empty)"
    return parts if any(part["type"] == "image" for part in parts) else "\n".join(part["text"] for part in parts)
