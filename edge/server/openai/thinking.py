"""Read how long the model may think: OpenAI's effort, and the budgets and switches of other servers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from edge.records import dataclass
from edge.server.fields import Fields

EFFORT_TOKENS: dict[str, int | None] = {
    "none": 0,
    "minimal": 256,
    "low": 1024,
    "medium": 4096,
    "high": 16384,
    "xhigh": None,
    "ultra": None,
    "max": None,
}
"""Tokens of thought for each effort; None sets no limit. A thought that goes on is closed, and the answer follows."""


_SWITCH = {"disabled": False, "enabled": True}


@dataclass(frozen=True, slots=True)
class Thinking:
    """What was said about the thought.

    Attributes:
        budget: Most tokens of it; None sets no limit.
        is_exact: Whether the client named the number itself.
        name: The field that has the number.
        template_variables: Variables for the chat template.
        ignored: Fields that were not understood.
    """

    budget: int | None = None
    is_exact: bool = False
    name: str = "thinking_budget"
    template_variables: Mapping[str, Any] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()

    def budget_for(self, max_tokens: int | None) -> int | None:
        """Return the budget of an answer with so many tokens; an effort leaves half of them to the answer."""
        if self.budget is None or self.is_exact or max_tokens is None:
            return self.budget
        return min(self.budget, max_tokens // 2)


def read_thinking(fields: Fields) -> Thinking:
    """Take the fields; a number wins over a switch, a switch over an effort.

    Raises:
        ApiError: One is of the wrong type, or no known word.
    """
    effort = fields.choice("reasoning_effort", tuple(EFFORT_TOKENS))
    reasoning = fields.inner("reasoning")
    effort = reasoning.choice("effort", tuple(EFFORT_TOKENS)) or effort
    reasoning.ignore("summary", "generate_summary")  # there is one kind of summary here: the thought
    budget = EFFORT_TOKENS[effort] if effort else None
    variables = fields.object("chat_template_kwargs") or {}
    switch = fields.inner("thinking")
    kind = switch.choice("type", ("enabled", "disabled", "auto", "adaptive"))
    enabled = fields.wish("enable_thinking")
    switches = (enabled, reasoning.wish("enabled"), variables.get("enable_thinking"), _SWITCH.get(kind or ""))
    if False in switches:
        budget = 0
    elif True in switches and budget == 0:
        budget = None
    exact, name = _read_number(fields, reasoning, switch)
    if enabled is not None:
        variables = {**variables, "enable_thinking": enabled}
    ignored = (*reasoning.left, *switch.left)
    return Thinking(budget if exact is None else exact, exact is not None, name, variables, ignored)


def _read_number(fields: Fields, reasoning: Fields, switch: Fields) -> tuple[int | None, str]:
    """Take the exact budget, and the name of the field it stands in; the last of several counts."""
    found: tuple[int | None, str] = (None, "thinking_budget")
    for holder, key, name in (
        (reasoning, "max_tokens", "reasoning.max_tokens"),  # as OpenRouter's clients write it
        (switch, "budget_tokens", "thinking.budget_tokens"),
        *((fields, one, one) for one in ("thinking_budget", "thinking_budget_tokens", "reasoning_budget")),
    ):
        given = holder.whole(key)
        if given is not None and (given >= 0 or holder is not fields):  # there, below zero sets no limit
            found = given, name
    return found
