"""Run an application: for `main` until the program is told to stop, for tests and others on a thread.

uvicorn keeps time only for idle connections; `_Connection` also ends those whose head does not come.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from edge.errors import EdgeError, UsageError
from edge.server.app import make_app
from edge.server.arguments import ServerLimits, ServerOptions
from edge.server.models import Load

MAX_HEAD_BYTES = 64 << 10


def make_server(app: Starlette, options: ServerOptions) -> uvicorn.Server:
    """Make uvicorn's server for an application."""
    limits = options.limits

    class Connection(_Connection):
        bounds = limits

    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="on",
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        limit_concurrency=limits.connections,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=int(options.grace_s),
    )
    return uvicorn.Server(config)


def start_error(app: Starlette) -> EdgeError:
    """Say why an application did not start."""
    error = getattr(app.state, "start_error", None)
    return error if isinstance(error, EdgeError) else EdgeError("The server did not start; its log says why.")


def open_socket(options: ServerOptions) -> socket.socket:
    """Open the listening socket.

    Raises:
        UsageError: The address cannot be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen()  # whoever calls before the model is loaded waits, and is not refused
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise UsageError(
            f"Cannot listen on {options.host} port {options.port} ({error.strerror or error}). "
            "Choose another --port, or end the program that has it."
        ) from None
    return listener


class BackgroundServer:
    """A server on a thread of its own; a `with` block ends it.

    Attributes:
        url: Where it is, such as http://127.0.0.1:40123.
    """

    def __init__(self, options: ServerOptions, *, load: Load | None = None) -> None:
        """Start a server and wait until it answers.

        Args:
            options: As for the program; port 0 takes a free one.
            load: Loads a model; None takes `edge.load`.

        Raises:
            EdgeError: It cannot start.
        """
        self.app = make_app(options, load=load)
        self._socket = open_socket(options)
        self._server = make_server(self.app, options)
        self._thread = threading.Thread(target=self._run, name="edge-server", daemon=True)
        self._has_started = threading.Event()
        host, port = self._socket.getsockname()[:2]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        self._thread.start()
        self._has_started.wait()
        if not self._server.started:
            self._thread.join()
            self._socket.close()
            raise start_error(self.app)

    def close(self) -> None:
        """End it; running answers get their grace time."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self._has_started.set()

    async def _serve(self) -> None:
        serving = asyncio.ensure_future(self._serve_here())
        while not self._server.started and not serving.done():
            await asyncio.sleep(0.01)
        self._has_started.set()
        await serving

    async def _serve_here(self) -> None:
        # Caught inside the task: out of it, asyncio would log it as never retrieved, long after.
        with suppress(SystemExit):  # uvicorn's way to say that the application did not start
            await self._server._serve([self._socket])  # serve() would take over signals


class _Connection(H11Protocol):
    """uvicorn's connection, which a client has to use within a time."""

    bounds: ServerLimits
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:  # Any: uvicorn's own type
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        """Start the clock when a head is due, stop it when one has come."""
        is_due = self.cycle is None or self.cycle.response_complete
        if not is_due and self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        elif is_due and self._head_timer is None:
            self._head_timer = self.loop.call_later(self.bounds.head_s, self._end_idle)

    def _end_idle(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
