"""Read Ollama's `think`: whether and how long the model thinks before it answers."""

from __future__ import annotations

from edge.engine import Engine
from edge.records import dataclass
from edge.request import Request
from edge.server.errors import ApiError
from edge.server.fields import Fields
from edge.server.openai.thinking import EFFORT_TOKENS

LEVELS = ("low", "medium", "high", "max")


@dataclass(frozen=True, slots=True)
class Think:
    """What was said.

    Attributes:
        budget: Most tokens of thought; None sets no limit.
        is_asked: Whether the client wants a thought, which not every model has.
    """

    budget: int | None = None
    is_asked: bool = False

    def budget_for(self, max_tokens: int | None) -> int | None:
        """Return the budget of an answer with so many tokens: half of them at most, or no answer might come."""
        if max_tokens is None:
            return self.budget
        return min(max_tokens // 2, max_tokens // 2 if self.budget is None else self.budget)


def read_think(fields: Fields) -> Think:
    """Take `think`; without it a model that thinks does so, as with Ollama.

    Raises:
        ApiError: It is neither true, false nor a level.
    """
    value = fields.any("think")
    if value is None or value == "":
        return Think()
    if isinstance(value, bool):
        return Think(is_asked=True) if value else Think(budget=0)
    if value not in LEVELS:
        raise fields.wrong("think", f"true, false, {', '.join(LEVELS)}", value)
    return Think(EFFORT_TOKENS[value], is_asked=True)


def thinks(engine: Engine) -> bool:
    """Tell whether a model thinks before it answers: its template opens the thought."""
    return engine.build_prompt(Request(messages=[{"role": "user", "content": "?"}])).opens_reasoning


def check_think(think: Think, engine: Engine, name: str | None) -> None:
    """Refuse a thought that the model does not have.

    Raises:
        ApiError: In the words that Ollama's programs know.
    """
    if think.is_asked and not thinks(engine):
        raise ApiError("invalid_request", f'"{name or engine.name}" does not support thinking', param="think")
