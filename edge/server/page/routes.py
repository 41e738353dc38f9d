"""Serve the page's files, all of this package, with a policy that lets nothing else in."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

FOLDER = Path(__file__).parent / "files"
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
        "connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}
WORKER = "/page/worker.js"
WORKER_HEADERS = {"service-worker-allowed": "/"}
"""A service worker may keep only what lies beside it, unless its server says otherwise; the page lies above it."""


async def root(request: Request) -> Response:
    """Show the page to browsers, and a sign of life to programs."""
    page = FOLDER / "index.html"
    if "text/html" in request.headers.get("accept", "") and page.is_file():
        return _file(page)
    # Programs for Ollama look for these very words before they go on.
    return PlainTextResponse("Ollama is running")


async def file(request: Request) -> Response:
    """Give one of the page's files."""
    response = _file(FILES[request.url.path])
    if request.url.path == WORKER:
        response.headers.update(WORKER_HEADERS)
    return response


def _file(path: Path) -> Response:
    return FileResponse(path, media_type=KINDS[path.suffix], headers=HEADERS)


FILES = {
    f"/page/{path.relative_to(FOLDER).as_posix()}": path
    for path in sorted(FOLDER.rglob("*"))
    if path.is_file() and path.suffix in KINDS
}
"""Only files that were there at the start are served: no path of a client's is ever looked up on disk."""
ROUTES = [Route("/", root), *(Route(path, file) for path in FILES)]
OPEN_PATHS = frozenset({"/", *FILES})
