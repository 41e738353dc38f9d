"""Run Qwen3-VL checkpoints on one's own computer.

`load` gives an `Engine`; `Engine.stream` takes a `Request` and gives events. Names are imported when first used, so
that `import edge` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge.engine import Engine, EngineLimits
    from edge.errors import EdgeError
    from edge.events import Answer, Event, FinishEvent, MediaUse, PromptEvent, ReasoningEvent, Statistics, TextEvent
    from edge.generate.sampling import SamplingParams
    from edge.loading import load
    from edge.request import Request

__all__ = [
    "Answer",
    "EdgeError",
    "Engine",
    "EngineLimits",
    "Event",
    "FinishEvent",
    "MediaUse",
    "PromptEvent",
    "ReasoningEvent",
    "Request",
    "SamplingParams",
    "Statistics",
    "TextEvent",
    "load",
]

_MODULES = {
    "EdgeError": "errors",
    "Engine": "engine",
    "EngineLimits": "engine",
    "Request": "request",
    "SamplingParams": "generate.sampling",
    "load": "loading",
}


def __getattr__(name: str) -> Any:  # Any: whatever the name stands for
    if name not in __all__:
        raise AttributeError(f"module 'edge' has no attribute {name!r}")
    return getattr(import_module(f"edge.{_MODULES.get(name, 'events')}"), name)
