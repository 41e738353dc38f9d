"""Run Qwen3-VL checkpoints on one's own computer.

`load` gives an `Engine`; `Engine.ask` answers a question about pictures and videos, `Engine.stream` takes a `Request`
and gives events. Names are imported when first used, so that `import edge` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from edge.answer import Answer
    from edge.conversation import Conversation, user_message
    from edge.engine import Engine
    from edge.errors import (
        AnswerError,
        ConfigError,
        ContextLengthError,
        EdgeError,
        MediaError,
        MemoryPlanError,
        PromptError,
        RequestError,
        UsageError,
        WeightError,
    )
    from edge.events import (
        CutCallEvent,
        Event,
        FinishEvent,
        FinishReason,
        MediaUse,
        NoteEvent,
        ProgressEvent,
        PromptEvent,
        ReasoningEvent,
        TextEvent,
        TokenEvent,
        ToolCall,
        ToolCallDeltaEvent,
        ToolCallEvent,
        Usage,
    )
    from edge.limits import EngineLimits
    from edge.loading import load
    from edge.options import Image, ImageOptions, ImageSource, Video, VideoOptions, VideoSource
    from edge.request import Request
    from edge.results import EventStream, Result
    from edge.run.sample import SamplingParams
    from edge.text.boxes import Box, Point, parse_boxes, parse_points
    from edge.text.tools import tool_from_function, tool_result_message

_MODULES = {
    "answer": ("Answer",),
    "conversation": ("Conversation", "user_message"),
    "engine": ("Engine",),
    "errors": (
        "AnswerError",
        "ConfigError",
        "ContextLengthError",
        "EdgeError",
        "MediaError",
        "MemoryPlanError",
        "PromptError",
        "RequestError",
        "UsageError",
        "WeightError",
    ),
    "events": (
        "CutCallEvent",
        "Event",
        "FinishEvent",
        "FinishReason",
        "MediaUse",
        "NoteEvent",
        "ProgressEvent",
        "PromptEvent",
        "ReasoningEvent",
        "TextEvent",
        "TokenEvent",
        "ToolCall",
        "ToolCallDeltaEvent",
        "ToolCallEvent",
        "Usage",
    ),
    "limits": ("EngineLimits",),
    "loading": ("load",),
    "options": ("Image", "ImageOptions", "ImageSource", "Video", "VideoOptions", "VideoSource"),
    "request": ("Request",),
    "results": ("EventStream", "Result"),
    "run.sample": ("SamplingParams",),
    "text.boxes": ("Box", "Point", "parse_boxes", "parse_points"),
    "text.tools": ("tool_from_function", "tool_result_message"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "Answer",
    "AnswerError",
    "Box",
    "ConfigError",
    "ContextLengthError",
    "Conversation",
    "CutCallEvent",
    "EdgeError",
    "Engine",
    "EngineLimits",
    "Event",
    "EventStream",
    "FinishEvent",
    "FinishReason",
    "Image",
    "ImageOptions",
    "ImageSource",
    "MediaError",
    "MediaUse",
    "MemoryPlanError",
    "NoteEvent",
    "Point",
    "ProgressEvent",
    "PromptError",
    "PromptEvent",
    "ReasoningEvent",
    "Request",
    "RequestError",
    "Result",
    "SamplingParams",
    "TextEvent",
    "TokenEvent",
    "ToolCall",
    "ToolCallDeltaEvent",
    "ToolCallEvent",
    "Usage",
    "UsageError",
    "Video",
    "VideoOptions",
    "VideoSource",
    "WeightError",
    "load",
    "parse_boxes",
    "parse_points",
    "tool_from_function",
    "tool_result_message",
    "user_message",
]


if not TYPE_CHECKING:  # or a type checker would take every misspelt name

    def __getattr__(name: str) -> Any:  # Any: whatever the name stands for
        if name == "__version__":
            from edge.version import PACKAGE, version_of

            return version_of(PACKAGE)
        if name not in _HOMES:
            raise AttributeError(f"module 'edge' has no attribute {name!r}")
        return getattr(import_module(f"edge.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
