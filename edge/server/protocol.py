"""Register a protocol: its routes, the shape of its errors, and what /openapi.json says of it.

A protocol lives in `edge/server/<name>/`; its `routes.py` gives `PROTOCOL`, and `edge.server.app.PROTOCOLS` lists it.
A route's endpoint is `async def endpoint(request: Request) -> Response`, which raises `EdgeError`s freely: the server
answers them through `error_body`. What all endpoints share hangs on the request: see `edge.server.serving.serving_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any

from starlette.routing import Route

from edge.records import dataclass
from edge.server.errors import ApiError

Json = Any  # JSON in and out, checked where it is read


@dataclass(frozen=True, slots=True)
class Protocol:
    """One protocol.

    Attributes:
        name: What it is called.
        routes: Its routes.
        owns: Whether errors of a path have this protocol's shape; the first protocol that says so wins.
        error_body: Writes an error down as the protocol's clients expect it.
        paths: OpenAPI path items by path.
        schemas: OpenAPI component schemas by name.
    """

    name: str
    routes: Sequence[Route]
    owns: Callable[[str], bool]
    error_body: Callable[[ApiError], Json]
    paths: Mapping[str, Json] = field(default_factory=dict)
    schemas: Mapping[str, Json] = field(default_factory=dict)
