"""Stand before every endpoint: who may call, from where, with what; and write down how it went.

In: ASGI requests. Out: the same, or an error in the shape of the protocol whose path it is. Against web pages that
call a local server behind their visitor's back: the Host header must name this computer (DNS rebinding), a foreign
Origin is refused unless named, and bodies must be declared as JSON, which no plain form can do.
"""

from __future__ import annotations

import hmac
import ipaddress
import time
import uuid
from collections.abc import Callable, Collection
from typing import Any
from urllib.parse import unquote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge.server.arguments import ServerOptions
from edge.server.body import release_body, too_large
from edge.server.errors import ApiError, ClientGone, to_api_error
from edge.server.json_body import JsonBody
from edge.server.log import REQUEST_ID, log_event, log_fault
from edge.server.metrics import Metrics

ErrorBody = Callable[[str, ApiError], Any]  # path, error -> JSON in the shape of the path's protocol
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        options: ServerOptions,
        error_body: ErrorBody,
        is_open: Callable[[str], bool],
        metrics: Metrics,
    ) -> None:
        """Stand before an application.

        Args:
            app: The application.
            options: Who may call.
            error_body: Writes errors down.
            is_open: Whether a path is answered without a key.
            metrics: Where finished requests are counted.
        """
        self._app = app
        self._options = options
        self._error_body = error_body
        self._is_open = is_open
        self._metrics = metrics
        self._hosts = {*LOCAL_HOSTS, options.host.lower(), *(name.lower() for name in options.allow_hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = f"req_{uuid.uuid4().hex[:24]}"
        REQUEST_ID.set(request_id)
        target_host = _take_host(scope)
        record: dict[str, Any] = {"method": scope["method"], "path": scope["path"][:200], "status": 499}
        scope["edge.record"] = record
        headers = Headers(scope=scope)
        has_begun = False

        async def tell(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                record["status"] = message["status"]
                told = MutableHeaders(scope=message)
                for name in ("x-request-id", "request-id"):  # OpenAI's clients read the first, Anthropic's the second
                    told[name] = request_id
                if "edge.origin" in scope:
                    _allow_origin(told, scope["edge.origin"])
            await send(message)

        try:
            preflight = self._check(scope, headers, target_host)
            await (preflight or self._app)(scope, receive, tell)
        except ClientGone:
            record["status"] = 499
        except Exception as error:  # the border of one request
            api_error = to_api_error(error)
            if api_error.kind == "internal":
                log_fault(error)
            record["error"] = api_error.message if self._options.logs_content else api_error.code or api_error.kind
            if has_begun:
                raise
            await self.error_response(scope["path"], api_error)(scope, receive, tell)
        finally:
            release_body(scope)
            client, seconds = scope.get("client"), round(time.perf_counter() - started, 4)
            log_event("request", id=request_id, client=client[0] if client else None, s=seconds, **record)
            self._metrics.count(record, seconds, endpoint=_endpoint_name(scope))

    def error_response(self, path: str, error: ApiError) -> Response:
        """Write an error down as the path's protocol does."""
        return JsonBody(self._error_body(path, error), status_code=error.status, headers=error.headers)

    def _check(self, scope: Scope, headers: Headers, target_host: str | None) -> Response | None:
        """Refuse what may not come in; answer what a browser asks beforehand."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not all(map(self._knows_host, (*hosts, *([target_host] if target_host else [])))):
            raise ApiError(
                "permission",
                f"The Host header {(target_host or headers.get('host', ''))[:80]!r} does not name this computer. "
                "Use localhost, or start the server with --allow-host NAME.",
                code="unknown_host",
            )
        self._check_origin(scope, headers)
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            return _preflight(headers)
        scope["edge.client"] = self._check_key(scope, headers)
        if scope["method"] not in SAFE_METHODS:
            self._check_body(headers)
        return None

    def _knows_host(self, host: str) -> bool:
        name = _without_port(host)
        if name in self._hosts:
            return True
        # A name can be made to point here by anybody's DNS; an address cannot.
        return not self._options.is_local and _is_address(name)

    def _check_origin(self, scope: Scope, headers: Headers) -> None:
        origin = headers.get("origin")
        allowed: Collection[str] = self._options.allow_origins
        if origin is None:
            site = headers.get("sec-fetch-site", "none")
            if site in ("none", "same-origin") or scope["method"] in SAFE_METHODS:
                return
        elif "*" in allowed or origin in allowed or origin == f"{scope['scheme']}://{headers['host']}":
            scope["edge.origin"] = origin
            return
        raise ApiError(
            "permission",
            f"Pages of the origin {(origin or 'of another site')[:80]!r} may not call this server. "
            "Start it with --allow-origin ORIGIN to let them.",
            code="origin_not_allowed",
        )

    def _check_key(self, scope: Scope, headers: Headers) -> str | None:
        """Name the key that was sent; of two headers, as Anthropic's client may send, one must have a right one."""
        keys = self._options.api_keys
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        bearer = bearer.strip() if scheme.lower() == "bearer" else ""
        sent = [one.encode() for one in (bearer, headers.get("x-api-key", "")) if one]
        matches = [sum(hmac.compare_digest(one, key.encode()) for one in sent) > 0 for key in keys]
        if any(matches):
            return f"key {matches.index(True)}"
        if keys and not self._is_open(scope["path"]):
            found = "a wrong one" if sent else "none"
            raise ApiError(
                "authentication",
                f"Expected an API key (Authorization: Bearer KEY), found {found}.",
                code="invalid_api_key",
            )
        return None

    def _check_body(self, headers: Headers) -> None:
        if "transfer-encoding" in headers and "content-length" in headers:
            raise ApiError("invalid_request", "The request has both Transfer-Encoding and Content-Length.")
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise ApiError("invalid_request", "Compressed bodies are not read. Send the body as it is.", status=415)
        length = headers.get("content-length")
        if length == "0" or (length is None and "transfer-encoding" not in headers):
            return  # no body, as with DELETE; endpoints that need one say so
        if length is not None and int(length) > self._options.limits.body_bytes:
            raise too_large(self._options.limits.body_bytes)
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise ApiError(
                "invalid_request",
                f"Expected the header Content-Type: application/json, found {kind[:60]!r}.",
                status=415,
                code="content_type",
            )


def _take_host(scope: Scope) -> str | None:
    """Take the host out of a target that is a whole address, as programs behind a proxy's setting send it."""
    target: str = scope["raw_path"].decode("latin-1")
    scheme, _, rest = target.partition("://")
    if scheme.lower() not in ("http", "https") or not rest:
        return None
    host, slash, path = rest.partition("/")
    scope["raw_path"] = f"/{path}".encode("latin-1")
    scope["path"] = unquote(f"{slash or '/'}{path}")
    return host


def _preflight(headers: Headers) -> Response:
    return PlainTextResponse(
        status_code=204,
        headers={
            "access-control-allow-methods": "GET, POST, DELETE, OPTIONS",
            "access-control-allow-headers": headers.get("access-control-request-headers", "*")[:1000],
            "access-control-max-age": "600",
        },
    )


def _allow_origin(headers: MutableHeaders, origin: str) -> None:
    """Tell a browser that a page may read this."""
    headers["access-control-allow-origin"] = origin
    headers["access-control-expose-headers"] = "x-ignored-fields, x-request-id, request-id, retry-after"
    headers.add_vary_header("origin")


def _without_port(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _endpoint_name(scope: Scope) -> str:
    """Name the endpoint that a request came to; paths that clients write would be without number."""
    endpoint = scope.get("endpoint")  # starlette leaves it here once it has found one
    if endpoint is None:
        return "none"
    return f"{endpoint.__module__.removeprefix('edge.server.').partition('.')[0]}.{endpoint.__name__}"
