"""What the server says about itself: /health, /metrics and /openapi.json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psutil
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from edge.server.json_body import JsonBody
from edge.server.protocol import Protocol
from edge.server.serving import serving_of
from edge.version import PACKAGE, version_of

Json = Any
HEALTH = {
    "type": "object",
    "properties": {
        "status": {"const": "ok"},
        "model": {"type": "string", "description": "The model that requests without one get."},
        "loaded": {"type": "array", "items": {"type": "string"}},
        "working": {"type": "integer"},
        "waiting": {"type": "integer"},
    },
    "required": ["status", "model", "loaded", "working", "waiting"],
}


def about_routes(protocols: Sequence[Protocol]) -> list[Route]:
    """Make the routes; the document tells of these protocols."""
    document = openapi_document(protocols)

    async def openapi(_http: Request) -> Response:
        return JsonBody(document)

    return [Route("/health", health), Route("/metrics", metrics), Route("/openapi.json", openapi)]


async def health(http: Request) -> Response:
    """Say that the server works."""
    serving = serving_of(http)
    return JsonBody(
        {
            "status": "ok",
            "model": serving.models.default,
            "loaded": [one.entry.name for one in serving.models.residents],
            "working": serving.admission.num_working,
            "waiting": serving.admission.num_waiting,
        }
    )


async def metrics(http: Request) -> Response:
    """Tell the counts."""
    serving = serving_of(http)
    gauges = {
        "edge_working": ("Requests that work.", serving.admission.num_working),
        "edge_waiting": ("Requests that wait.", serving.admission.num_waiting),
        "edge_models_loaded": ("Models in memory.", len(serving.models.residents)),
        "edge_memory_bytes": ("Resident memory of the process.", psutil.Process().memory_info().rss),
    }
    return PlainTextResponse(serving.metrics.text(gauges), media_type="text/plain; version=0.0.4")


def openapi_document(protocols: Sequence[Protocol]) -> dict[str, Json]:
    """Put the document together from what the protocols say of themselves."""
    paths: dict[str, Json] = {
        "/health": {"get": _simple("Say that the server works.", "application/json", HEALTH)},
        "/metrics": {"get": _simple("Tell counts to Prometheus.", "text/plain", {"type": "string"})},
        "/openapi.json": {"get": _simple("This document.", "application/json", {"type": "object"})},
    }
    schemas: dict[str, Json] = {}
    for protocol in protocols:
        paths |= protocol.paths
        schemas |= protocol.schemas
    return {
        "openapi": "3.1.0",
        "info": {"title": PACKAGE, "version": version_of(PACKAGE)},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
        "security": [{}, {"bearer": []}, {"header": []}],
    }


def _simple(summary: str, kind: str, schema: Json) -> dict[str, Json]:
    return {"summary": summary, "responses": {"200": {"description": "Done.", "content": {kind: {"schema": schema}}}}}
