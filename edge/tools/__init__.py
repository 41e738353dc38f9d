"""Tools a model may call: Python functions, built-in ones, those of MCP servers; and the rounds until it answers."""

from edge.tools.box import ToolBox
from edge.tools.calculator import calculator
from edge.tools.folder import folder_tools
from edge.tools.function_file import load_functions
from edge.tools.rounds import ToolRun, run_with_tools
from edge.tools.tool import Tool, ToolResult, ToolResultEvent

__all__ = [
    "Tool",
    "ToolBox",
    "ToolResult",
    "ToolResultEvent",
    "ToolRun",
    "calculator",
    "folder_tools",
    "load_functions",
    "run_with_tools",
]
