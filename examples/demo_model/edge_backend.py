"""Greedy answers by this project's own runtime.

In: a `Case`. Out: reasoning and answer text, tool calls in their tags, as the template writes them.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import edge

from .checks import LONGEST_ANSWER, Case
from .dialogue import call_text

AT_ONCE = 8


class EdgeBackend:
    """A checkpoint loaded by `edge`."""

    def __init__(self, folder: Path) -> None:
        self._engine = edge.load(folder)

    def answers(self, cases: list[Case]) -> list[tuple[str, str]]:
        """Answer many conversations, some at once; returns reasoning and answer of each, in order."""
        with ThreadPoolExecutor(AT_ONCE) as threads:
            return list(threads.map(self.answer, cases))

    def answer(self, case: Case) -> tuple[str, str]:
        """Answer one conversation; returns reasoning and answer."""
        request = edge.Request(
            messages=case.messages,
            tools=case.tools,
            sampling=edge.SamplingParams(temperature=0.0),
            max_tokens=LONGEST_ANSWER,
            thinking_budget=0 if case.is_closed else None,
        )
        reply = self._engine.answer(request)
        calls = [call_text(call.name, json.loads(call.arguments)) for call in reply.tool_calls]
        return reply.reasoning.strip(), "\n".join([*filter(None, [reply.text.strip()]), *calls])
