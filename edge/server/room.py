"""Let an answer end where the context ends, for protocols whose clients name more tokens than there is room for.

In: a request with `max_tokens`. Out: the same, or one that goes on until the context is full.
"""

from __future__ import annotations

from dataclasses import replace

from edge.engine import Engine
from edge.request import Request


def fit_to_context(engine: Engine, request: Request) -> Request:
    """Drop the limit of tokens if the context is full before it is reached.

    Claude Code asks for 32,000 tokens whatever the model; the engine refuses what may not fit.

    Raises:
        EdgeError: The messages make no prompt.
    """
    if request.max_tokens is None or request.max_tokens <= engine.context_tokens // 4:
        return request  # counting builds the prompt, so it is left out where room is likely
    room = engine.context_tokens - engine.count_tokens(request)
    return replace(request, max_tokens=None) if request.max_tokens > room else request
