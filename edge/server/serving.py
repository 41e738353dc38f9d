"""What all endpoints of one server share, and how an endpoint gets at it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.requests import Request

from edge.records import dataclass
from edge.server.admission import Admission
from edge.server.arguments import ServerOptions
from edge.server.metrics import Metrics
from edge.server.models import ModelShelf


@dataclass(slots=True)
class Serving:
    """One server's parts.

    Attributes:
        options: What the command line asked for.
        models: The models there are.
        admission: Who may work now and who waits.
        workers: Threads that read bodies, fetch media and prepare requests.
        metrics: What was done so far.
        held_body_bytes: What the bodies of requests under way take.
    """

    options: ServerOptions
    models: ModelShelf
    admission: Admission
    workers: ThreadPoolExecutor
    metrics: Metrics
    held_body_bytes: int = 0


def serving_of(request: Request) -> Serving:
    """Return the parts of the server that a request came to."""
    serving = request.app.state.serving
    assert isinstance(serving, Serving)
    return serving


def record_of(request: Request) -> dict[str, Any]:  # Any: values of the log line
    """Return the fields of this request's line in the log; endpoints add to it."""
    record: dict[str, Any] = request.scope.setdefault("edge.record", {})
    return record
