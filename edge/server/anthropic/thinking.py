"""Read how long the model may think: Anthropic's switch, budget and effort."""

from __future__ import annotations

from edge.records import dataclass
from edge.server.fields import Fields
from edge.server.openai.thinking import EFFORT_TOKENS

EFFORTS = ("low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True, slots=True)
class Thinking:
    """What was said.

    Attributes:
        budget: Most tokens of thought; None sets no limit.
        is_asked: Whether the client said that the model shall think.
        is_shown: Whether its text is sent; an omitted thought is a block without text.
        ignored: Fields that were not understood.
    """

    budget: int | None
    is_asked: bool = False
    is_shown: bool = True
    ignored: tuple[str, ...] = ()


def read_thinking(fields: Fields, output: Fields, *, max_tokens: int | None) -> Thinking:
    """Take `thinking` and `output_config.effort`.

    Without a budget, the thought gets at most half of the answer's tokens, so that an answer can follow it.

    Args:
        fields: The request's.
        output: Those of `output_config`.
        max_tokens: Most tokens of the answer.

    Raises:
        ApiError: A value is of the wrong type or out of range.
    """
    thinking = fields.inner("thinking")
    kind = thinking.choice("type", ("enabled", "disabled", "adaptive"))
    is_shown = thinking.choice("display", ("summarized", "full", "omitted")) != "omitted"
    budget, effort = thinking.whole("budget_tokens"), output.choice("effort", EFFORTS)
    if kind == "disabled":
        budget = 0
    elif budget is None:
        limits = [EFFORT_TOKENS[effort] if effort else None, None if max_tokens is None else max_tokens // 2]
        budget = min((one for one in limits if one is not None), default=None)
    elif budget < 1 or (max_tokens is not None and budget >= max_tokens):
        raise thinking.wrong(
            "budget_tokens", f"1 or more, and less than max_tokens {max_tokens or ''}".rstrip(), budget
        )
    return Thinking(budget, kind == "enabled", is_shown, tuple(thinking.left))
