"""Make boxes of tools in one expression."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from edge.tools.box import ToolBox
from edge.tools.tool import Tool

Json = Any


def box_of(tools: Sequence[Tool | Callable[..., Json]], **settings: Json) -> ToolBox:
    """Make a box of tools or typed functions; settings are fields of `ToolBox`."""
    box = ToolBox(**settings)
    box.add(tools)
    return box
