"""Open the tools that the command line names: files, built-in ones, MCP servers.

In: the values of `--tools` and `--mcp`. Out: `Tool`s, and the servers to be closed.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from edge.tools import Tool, ToolBox, calculator, folder_tools, load_functions
from edge.tools.tool import function_tool

BUILTIN = "builtin"


def open_tools(files: Sequence[str], servers: Sequence[str] = (), *, closing: ExitStack | None = None) -> list[Tool]:
    """Make tools of all that is named.

    Args:
        files: Python files, or "builtin".
        servers: Commands or addresses of MCP servers.
        closing: Closes the servers; needed if there are some.

    Raises:
        EdgeError: One cannot be opened, or a name is there twice; the message says which.
    """
    found: list[Tool] = []
    for text in files:
        found += builtin_tools(Path.cwd()) if text == BUILTIN else load_functions(Path(text))
    for target in servers:
        from edge.tools.server import McpServer  # late: the client takes a noticeable time to import

        assert closing is not None, "servers have to be closed"
        server = McpServer(target)
        closing.callback(server.close)
        found += server.tools
    ToolBox().add(found)  # a name that is there twice is said now
    return found


def builtin_tools(folder: Path) -> list[Tool]:
    """Make the built-in tools: a calculator, which asks nobody, and reading below a folder, which asks."""
    computing = function_tool(calculator, origin="built in", needs_consent=False)
    return [computing, *folder_tools(folder, needs_consent=True)]
