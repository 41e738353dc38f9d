"""Put the application together: protocols, health, the page, and the guard before all of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection
from concurrent.futures import ThreadPoolExecutor
from difflib import get_close_matches
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from edge.errors import EdgeError
from edge.server.about import about_routes
from edge.server.admission import Admission
from edge.server.anthropic.routes import PROTOCOL as ANTHROPIC
from edge.server.arguments import ServerOptions
from edge.server.catalogue import list_entries, load_entry
from edge.server.errors import ApiError
from edge.server.guard import Guard
from edge.server.log import log_event, open_uvicorn_log
from edge.server.metrics import Metrics
from edge.server.models import Load, ModelShelf
from edge.server.ollama.routes import PROTOCOL as OLLAMA
from edge.server.openai.routes import PROTOCOL as OPENAI
from edge.server.page.routes import OPEN_PATHS
from edge.server.page.routes import ROUTES as PAGE_ROUTES
from edge.server.protocol import Protocol
from edge.server.serving import Serving

PROTOCOLS: tuple[Protocol, ...] = (OLLAMA, ANTHROPIC, OPENAI)
"""The first whose `owns` takes a path writes its errors down; OpenAI, last, takes all."""
SWEEP_S = 5.0
WORKERS = 8
"""Threads that parse bodies and wait for remote media; what works hard has its own, fewer ones."""


def make_app(options: ServerOptions, *, load: Load | None = None) -> Starlette:
    """Make the application of one server.

    Args:
        options: What the command line asked for.
        load: Loads a model; None takes `edge.load`.

    Raises:
        EdgeError: The options name models that cannot be offered.
    """
    entries = list_entries(options)
    models = ModelShelf(
        entries,
        load or partial(load_entry, options=options),
        default=entries[0].name,
        resident=options.resident,
        keep_alive_s=options.keep_alive_s,
        aliases=dict(options.aliases),
    )
    limits = options.limits
    seats = options.rows + limits.prepare_threads  # the next prompts are prepared while all rows work
    serving = Serving(
        options=options,
        models=models,
        admission=Admission(seats=seats, waiting=limits.waiting, per_client=limits.per_client),
        workers=ThreadPoolExecutor(WORKERS, thread_name_prefix="edge-prepare"),
        metrics=Metrics(),
    )
    routes = [*about_routes(PROTOCOLS), *(route for one in PROTOCOLS for route in one.routes), *PAGE_ROUTES]
    guard = Middleware(Guard, options=options, error_body=_error_body, is_open=_is_open, metrics=serving.metrics)
    handlers: dict[Any, Any] = {HTTPException: _raise_api_error}  # Any: starlette's own type
    app = Starlette(routes=routes, middleware=[guard], exception_handlers=handlers, lifespan=_lifespan)
    app.state.serving = serving
    return app


@contextlib.asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    """Load the default model, and let everything go at the end."""
    serving: Serving = app.state.serving
    # Prompts are built through asyncio.to_thread: bounded like everything that decodes pictures.
    threads = ThreadPoolExecutor(serving.options.limits.prepare_threads + 1, thread_name_prefix="edge-build")
    asyncio.get_running_loop().set_default_executor(threads)
    try:
        async with serving.models.lease(None) as resident:
            log_event("ready", model=resident.entry.name, load_s=round(resident.loaded_s, 2))
    except EdgeError as error:
        app.state.start_error = error  # uvicorn keeps it to its log, see `edge.server.running.start_error`
        raise
    open_uvicorn_log()
    sweep = asyncio.get_running_loop().create_task(_sweep(serving))
    try:
        yield
    finally:
        sweep.cancel()
        await serving.models.close()
        serving.workers.shutdown(wait=False, cancel_futures=True)


async def _sweep(serving: Serving) -> None:
    while True:
        await asyncio.sleep(SWEEP_S)
        await serving.models.unload_expired()


async def _raise_api_error(request: Request, error: HTTPException) -> Response:
    """Turn starlette's own refusals into ours, which the guard writes down."""
    if error.status_code == 405:
        # starlette takes them out of a set: in another order in every process
        allowed = ", ".join(sorted((error.headers or {}).get("Allow", "another method").split(", ")))
        message = f"This path takes {allowed}, found {request.method:.20}."
        raise ApiError("invalid_request", message, status=405, allow=allowed)
    known = {route.path for protocol in PROTOCOLS for route in protocol.routes}
    raise ApiError("not_found", f"There is no such path. {_near(request.url.path, known)}", status=error.status_code)


def _near(path: str, known: Collection[str]) -> str:
    """Advise who gave a client the wrong base address, or misspelt a path."""
    if f"/v1{path}" in known:
        return f"It is /v1{path}: the client's base address should end in /v1."
    if path.startswith("/v1/v1/") and path[3:] in known:
        return f"It is {path[3:]}: the client's base address should end before /v1."
    alike = get_close_matches(path[:100], sorted(known), n=1, cutoff=0.9)
    return f"Did you mean {alike[0]}?" if alike else "See /openapi.json."


def _error_body(path: str, error: ApiError) -> Any:  # Any: JSON
    protocol = next((one for one in PROTOCOLS if one.owns(path)), OPENAI)
    return protocol.error_body(error)


def _is_open(path: str) -> bool:
    return path == "/health" or path in OPEN_PATHS
