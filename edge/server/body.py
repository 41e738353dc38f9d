"""Read the JSON body of a request: bounded in size, time and depth."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any, NoReturn

from starlette.requests import ClientDisconnect, Request
from starlette.types import Scope

from edge.server.arguments import ServerLimits
from edge.server.errors import ApiError, ClientGone
from edge.server.serving import record_of, serving_of

Json = Any
SMALL_BYTES = 1 << 16
"""Larger bodies are parsed on a worker thread, so that they do not hold up others."""
MAX_DEPTH = 200
MAX_VALUES = 2_000_000
"""Commas and opening brackets, those in text included: two bytes of JSON become a hundred in memory."""
HELD = "edge.body_bytes"
LOGGED_BYTES = 20_000
"""What `--log-content` keeps of a body: pictures in it would fill the log."""


async def read_json(request: Request) -> dict[str, Json]:
    """Read the JSON object that a request carries.

    Raises:
        ApiError: It is too large, too slow, no JSON, or no object.
        ClientGone: The client left before it had sent everything.
    """
    serving = serving_of(request)
    limits = serving.options.limits
    try:
        async with asyncio.timeout(limits.body_s):
            data = await _read(request, limits)
    except TimeoutError:
        raise ApiError("timeout", f"The body did not come within {limits.body_s:.0f} seconds.") from None
    except ClientDisconnect:
        raise ClientGone from None
    if serving.options.logs_content:
        record_of(request)["request"] = data[:LOGGED_BYTES].decode("utf-8", "replace")
    if len(data) <= SMALL_BYTES:
        return parse_object(data)
    return await asyncio.get_running_loop().run_in_executor(serving.workers, parse_object, data)


async def _read(request: Request, limits: ServerLimits) -> bytes:
    serving, scope = serving_of(request), request.scope
    pieces, length = [], 0
    async for piece in request.stream():
        length += len(piece)
        if length > limits.body_bytes:
            raise too_large(limits.body_bytes)
        if serving.held_body_bytes + len(piece) > limits.all_bodies_bytes:
            message = f"Requests under way hold {serving.held_body_bytes} bytes, no more are taken. Try again."
            raise ApiError("overloaded", message, code="bodies_full", retry_s=2)
        serving.held_body_bytes += len(piece)
        scope[HELD] = scope.get(HELD, 0) + len(piece)
        pieces.append(piece)
    return b"".join(pieces)


def release_body(scope: Scope) -> None:
    """Give back what a request's body counted for; the guard calls it when the request has ended."""
    if HELD in scope:
        scope["app"].state.serving.held_body_bytes -= scope.pop(HELD)


def too_large(max_bytes: int) -> ApiError:
    """Say that a body is over the limit."""
    return ApiError(
        "invalid_request",
        f"The body is larger than {max_bytes / (1 << 20):g} MiB. Send less, or raise --max-body-mb.",
        status=413,
        code="body_too_large",
    )


def parse_object(data: bytes) -> dict[str, Json]:
    """Parse a JSON object.

    Raises:
        ApiError: It is no JSON (NaN and Infinity are none), nests too deep, has too many values, or is no object.
    """
    count = sum(data.count(mark) for mark in (b",", b"[", b"{"))
    if count > MAX_VALUES:
        raise ApiError("invalid_request", f"The body holds more than {MAX_VALUES} values. Send fewer.", status=413)
    try:
        value = json.loads(data, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError:
        raise ApiError("invalid_request", "The body nests too deep. Send flatter JSON.") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise ApiError("invalid_request", f"The body is not valid JSON ({str(error)[:200]}).") from None
    if not isinstance(value, dict):
        raise ApiError("invalid_request", f"The body should be a JSON object, found {type(value).__name__}.")
    _check_depth(value)
    return value


def _check_depth(value: Json) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for one in level
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise ApiError("invalid_request", f"The body nests deeper than {MAX_DEPTH} levels. Send flatter JSON.")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:20]} is out of range")
    return number
