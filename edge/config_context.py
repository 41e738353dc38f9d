"""Stretch a model's rotary positions so that it takes longer contexts than it was trained with.

In: a configuration and the tokens asked for. Out: the configuration with YaRN, as the makers of the model publish it
for a million tokens. Positions go on past pictures by their longer side, so they grow more slowly than tokens do: up to
four times the trained context is taken with a factor of at most three.
"""

from __future__ import annotations

import math
from dataclasses import replace

from edge.config import ModelConfig
from edge.errors import RequestError

MOST_STRETCH = 4
MOST_FACTOR = 3.0


def extend_context(config: ModelConfig, context_tokens: int | None) -> ModelConfig:
    """Return the configuration for so many tokens: the same one where the model's own context holds them.

    Args:
        config: As the checkpoint has it.
        context_tokens: Most tokens of prompt and answer together; None asks for no more than the model's own.

    Raises:
        RequestError: More than four times the context that the model was trained with, or than a checkpoint states
            that is stretched already.
    """
    text = config.text
    own = text.max_position_embeddings
    if context_tokens is None or context_tokens <= own:
        return config
    is_stretched = text.rope.rope_type == "yarn"
    most = own if is_stretched else MOST_STRETCH * own
    if context_tokens > most:
        how = "its checkpoint stretches it already" if is_stretched else f"stretched {MOST_STRETCH} times by YaRN"
        raise RequestError(
            f"context_tokens: expected at most {most:,} for this model ({how}), found {context_tokens:,}.",
            field="context_tokens",
        )
    factor = min(float(math.ceil(context_tokens / own)), MOST_FACTOR)
    rope = replace(text.rope, rope_type="yarn", factor=factor, original_max_position_embeddings=own)
    return replace(config, text=replace(text, rope=rope, max_position_embeddings=context_tokens))
