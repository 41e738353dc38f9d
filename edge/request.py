"""Say what a request to the engine is."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edge.errors import RequestError
from edge.generate.sampling import SamplingParams
from edge.prompt.build import PromptOptions


@dataclass(frozen=True, slots=True)
class Request:
    """One question to the model.

    Attributes:
        messages: The conversation, as `edge.prompt.build.build_prompt` reads it (OpenAI's shape fits).
        tools: Tool declarations for the template.
        sampling: How tokens are chosen; None takes the checkpoint's own defaults.
        max_tokens: Most tokens to generate, thought included; None goes on until the context or memory is full.
        stop: Strings that end the answer; they do not appear in it.
        thinking_budget: Most tokens of thought before it is closed; None sets no limit.
        options: Limits for pictures and videos, template variables; None takes the checkpoint's own.
        cancel: Set it from any thread to end the answer after the current token.
    """

    # Any: messages and tool declarations are JSON; `edge.prompt` checks them.
    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] | None = None  # Any: as above
    sampling: SamplingParams | None = None
    max_tokens: int | None = None
    stop: Sequence[str] = ()
    thinking_budget: int | None = None
    options: PromptOptions | None = None
    cancel: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            RequestError: Names the field.
        """
        if self.max_tokens is not None and self.max_tokens < 1:
            raise RequestError(f"max_tokens: expected at least 1, found {self.max_tokens}. Raise it.")
        if isinstance(self.stop, str) or not all(self.stop):
            raise RequestError(f"stop: expected a list of non-empty strings, found {self.stop!r}. Remove empty ones.")
        if self.thinking_budget is not None:
            if self.thinking_budget < 0:
                raise RequestError(f"thinking_budget: expected 0 or more, found {self.thinking_budget}. Raise it.")
            if self.max_tokens is not None and self.thinking_budget >= self.max_tokens:
                raise RequestError(
                    f"thinking_budget: expected less than max_tokens {self.max_tokens}, "
                    f"found {self.thinking_budget}; no answer would come. Lower it."
                )
