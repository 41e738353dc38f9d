"""Turn options into requests, and choose how long a thought may be."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edge.chat.options import ChatOptions

if TYPE_CHECKING:
    from edge.engine import Engine
    from edge.limits import EngineLimits
    from edge.request import Request

Message = dict[str, Any]  # Any: JSON, checked by edge.prompt

THOUGHT_TOKENS = 16_384
"""Most tokens of a thought when nobody says: hard questions take some thousands, endless ones all there are."""
ANSWER_TOKENS = 1024
"""Room left for the answer, or a quarter of `--max-tokens` where that is less."""


def make_request(
    engine: Engine,
    options: ChatOptions,
    messages: Sequence[Message],
    *,
    thinks: bool,
    cancel: threading.Event,
    **more: Any,  # Any: further fields of Request, such as tools
) -> Request:
    """Build the request for a conversation; values that were not given are the checkpoint's.

    Raises:
        RequestError: A value is wrong.
    """
    from edge.options import ImageOptions, VideoOptions
    from edge.request import Request

    sampling: dict[str, Any] = options.sampling  # Any: the fields differ in type
    low, high = options.min_pixels, options.max_pixels
    return Request(
        messages=messages,
        sampling=replace(engine.default_sampling, **sampling),
        max_tokens=options.max_tokens,
        stop=options.stop,
        schema=options.schema,
        loop_guard=options.guards_loops,
        thinking_budget=thought_tokens(engine, options, thinks=thinks),
        answer_tokens=0 if options.think == "on" else None,
        image=ImageOptions(min_pixels=low, max_pixels=high),
        video=VideoOptions(min_pixels=low, max_pixels=high, fps=options.fps),
        cancel=cancel,
        **more,
    )


def opens_thought(engine: Engine) -> bool:
    """Tell whether the checkpoint thinks before it answers."""
    return engine.build_prompt(_probe()).opens_reasoning


def thought_tokens(engine: Engine, options: ChatOptions, *, thinks: bool) -> int | None:
    """Choose the most tokens of thought, so that an answer fits behind it; None sets no limit."""
    if isinstance(options.think, int):
        return options.think
    if options.think == "on" or not thinks:
        return None
    if options.max_tokens is not None:
        return max(0, options.max_tokens - max(1, min(ANSWER_TOKENS, options.max_tokens // 4)))
    return max(1, min(THOUGHT_TOKENS, engine.context_tokens // 2, _tokens_in_memory(engine) // 2))


def check_options(options: ChatOptions) -> None:
    """Check the numbers before seconds go into loading.

    Raises:
        UsageError: One is wrong.
    """
    from edge.chat.border import usage_error
    from edge.errors import ConfigError, RequestError, UsageError
    from edge.request import Request
    from edge.run.sample import SamplingParams
    from edge.settings import ImageSettings

    try:
        ImageSettings().with_limits(min_pixels=options.min_pixels, max_pixels=options.max_pixels)
        Request(
            messages=(),
            sampling=SamplingParams(**options.sampling),  # type: ignore[arg-type]  # argparse made the right types
            max_tokens=options.max_tokens,
            stop=options.stop,
            thinking_budget=options.think if isinstance(options.think, int) else None,
        )
        make_limits(options)
    except (ConfigError, RequestError) as error:
        raise usage_error(error) from error
    if options.fps is not None and not 0 < options.fps < float("inf"):
        raise UsageError(f"fps: expected a number over 0, found {options.fps}. Raise it.", field="fps")
    if options.save is not None and options.save.exists():
        raise UsageError(f"--save: {options.save} exists. Choose another name.")


def make_limits(options: ChatOptions, *, keeps: bool = False) -> EngineLimits:
    """Return the bounds of the engine that the options ask for.

    Args:
        options: What was asked for.
        keeps: Whether keys and values are kept on disk, so that a talk goes on without a prefill.

    Raises:
        RequestError: One is wrong.
    """
    from edge.chat.sessions.folder import kept_folder
    from edge.limits import EngineLimits

    return EngineLimits(
        context_tokens=options.context,
        kv_bits=options.kv_bits,
        speculate=options.speculates,
        wire=options.wires,
        keep_folder=kept_folder() if keeps else None,
    )


def _probe() -> Request:
    from edge.request import Request

    return Request(messages=[{"role": "user", "content": "?"}])


def _tokens_in_memory(engine: Engine) -> int:
    """Count the tokens whose keys and values fit into the memory that is free now."""
    from edge.kv.make import bytes_per_token
    from edge.memory import available_bytes

    itemsize = 4  # an upper bound: float32 on the CPU, two bytes on a GPU
    token_bytes = bytes_per_token(engine.config.text, kv_bits=engine.limits.kv_bits, itemsize=itemsize)
    return max(2, available_bytes() // max(1, token_bytes))
