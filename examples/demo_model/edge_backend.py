"""Greedy answers by this project's own runtime.

In: messages and tools. Out: reasoning and answer text, tool calls still in their tags.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any  # messages and tool declarations are JSON

import edge

from .checks import LONGEST_ANSWER


class EdgeBackend:
    """A checkpoint loaded by `edge`."""

    def __init__(self, folder: Path) -> None:
        self._engine = edge.load(folder)

    def answer(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None) -> tuple[str, str]:
        """Answer one conversation; returns reasoning and answer."""
        sampling = edge.SamplingParams(temperature=0.0)
        request = edge.Request(messages=messages, tools=tools, sampling=sampling, max_tokens=LONGEST_ANSWER)
        reply = self._engine.answer(request)
        return reply.reasoning.strip(), reply.text.strip()
