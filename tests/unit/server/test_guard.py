from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from edge.server.arguments import ServerLimits, ServerOptions
from edge.server.running import BackgroundServer
from tests.unit.server.conftest import Caller

LIMITS = replace(ServerLimits(), body_bytes=2000, body_s=0.6, head_s=0.6)
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def guarded() -> Iterator[BackgroundServer]:
    options = ServerOptions(
        port=0,
        models=("demo",),
        api_keys=("first-key", "second-key"),
        allow_origins=("https://named.example",),
        allow_hosts=("name.local",),
        limits=LIMITS,
    )
    with BackgroundServer(options) as running:
        yield running


@pytest.fixture
def keyed(guarded: BackgroundServer) -> Caller:
    return Caller(guarded.url)


def raw(caller: Caller, data: bytes, *, wait_s: float = 5.0, rest: bytes = b"") -> bytes:
    """Send bytes as they are and return what comes back until the connection ends."""
    host, port = caller.address.split(":")
    with socket.create_connection((host, int(port)), timeout=wait_s) as connection:
        connection.sendall(data)
        if rest:
            time.sleep(0.2)
            connection.sendall(rest)
        received = b""
        try:
            while piece := connection.recv(65536):
                received += piece
        except TimeoutError:
            received += b"(open)"
        except ConnectionResetError:
            pass
        return received


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "10.0.0.1", "", "[::"])
def test_a_foreign_host_header_is_refused(caller: Caller, host: str) -> None:
    reply = caller.get("/v1/models", Host=host)
    assert reply.status in (400, 403)
    assert b"demo" not in reply.body


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:99", "[::1]:8080", "localhost."])
def test_this_computers_own_names_are_taken(caller: Caller, host: str) -> None:
    assert caller.get("/v1/models", Host=host).status == 200


def test_two_host_headers_are_refused(caller: Caller) -> None:
    data = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    assert b" 400 " in raw(caller, data).split(b"\r\n")[0]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1", "file://"])
def test_a_foreign_page_may_not_call(caller: Caller, origin: str) -> None:
    for reply in (
        caller.post("/v1/chat/completions", {}, {"Origin": origin}),
        caller.get("/v1/models", Origin=origin),
        caller.send("OPTIONS", "/v1/models", headers={"Origin": origin, "Access-Control-Request-Method": "POST"}),
    ):
        assert (reply.status, reply.json["error"]["code"]) == (403, "origin_not_allowed")
        assert "access-control-allow-origin" not in reply.headers


def test_a_page_of_the_server_itself_may_call(caller: Caller) -> None:
    assert caller.get("/v1/models", Origin=caller.url).status == 200


def test_a_request_of_another_site_without_an_origin_is_refused(caller: Caller) -> None:
    reply = caller.post("/v1/chat/completions", {}, {"Sec-Fetch-Site": "cross-site"})
    assert reply.status == 403


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_a_body_that_a_form_could_send_is_refused(caller: Caller, kind: str) -> None:
    reply = caller.send("POST", "/v1/chat/completions", b'{"messages": []}', {"Content-Type": kind})
    assert (reply.status, reply.json["error"]["code"]) == (415, "content_type")


def test_a_named_origin_is_answered_and_told_so(keyed: Caller) -> None:
    origin = "https://named.example"
    asks = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    before = keyed.send("OPTIONS", "/v1/chat/completions", headers=asks)
    assert (before.status, before.headers["access-control-allow-origin"]) == (204, origin)
    assert before.headers["access-control-allow-headers"] == "authorization"
    reply = keyed.get("/v1/models", Origin=origin, Authorization="Bearer first-key")
    assert (reply.status, reply.headers["access-control-allow-origin"]) == (200, origin)
    assert "origin" in reply.headers["vary"].lower()
    assert "x-ignored-fields" in reply.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    "headers",
    [
        *({"Authorization": "Bearer first-key"}, {"Authorization": "bearer second-key"}, {"X-Api-Key": "first-key"}),
        {"Authorization": "Bearer none", "X-Api-Key": "first-key"},
        {"Authorization": "Bearer first-key", "X-Api-Key": "none"},
    ],
)
def test_a_key_opens_the_server(keyed: Caller, headers: dict[str, str]) -> None:
    assert keyed.get("/v1/models", **headers).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        *({}, {"Authorization": "Bearer first-ke"}, {"Authorization": "Basic first-key"}, {"X-Api-Key": "\u00e9"}),
        *({"Authorization": "Bearer none", "X-Api-Key": "no"}, {"Authorization": "Bearer ", "X-Api-Key": ""}),
    ],
)
def test_without_the_key_there_is_nothing_but_health(keyed: Caller, headers: dict[str, str]) -> None:
    reply = keyed.get("/v1/models", **headers)
    assert (reply.status, reply.json["error"]["type"]) == (401, "authentication_error")
    assert keyed.get("/health", **headers).status == 200


def test_a_named_host_is_taken(keyed: Caller) -> None:
    assert keyed.get("/health", Host="name.local:80").status == 200


KEY = "Authorization: Bearer first-key\r\nContent-Type: application/json\r\n"


def head(*lines: str) -> bytes:
    return (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n" + KEY + "\r\n".join(lines) + "\r\n\r\n"
    ).encode()


@pytest.mark.parametrize("lines", [("Content-Length: 5000",), ("Transfer-Encoding: chunked",)])
def test_a_body_over_the_limit_is_refused(keyed: Caller, lines: tuple[str, ...]) -> None:
    body = b"%x\r\n" % 5000 + b" " * 5000 + b"\r\n0\r\n\r\n" if "chunked" in lines[0] else b" " * 5000
    assert b" 413 " in raw(keyed, head(*lines, "Connection: close") + body).split(b"\r\n")[0]


def test_a_body_that_does_not_come_is_not_waited_for(keyed: Caller) -> None:
    started = time.monotonic()
    assert b" 408 " in raw(keyed, head("Content-Length: 100", "Connection: close") + b"{").split(b"\r\n")[0]
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("start", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "])
def test_a_head_that_does_not_come_ends_the_connection(keyed: Caller, start: bytes) -> None:
    started = time.monotonic()
    assert b"(open)" not in raw(keyed, start, rest=b"x" if start else b"")
    assert time.monotonic() - started < 3


def test_a_second_head_that_does_not_come_ends_the_connection_too(keyed: Caller) -> None:
    received = raw(keyed, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", rest=b"G")
    assert b"200 OK" in received
    assert b"(open)" not in received


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 2", "Transfer-Encoding: chunked"),
        ("Content-Length: 2", "Content-Length: 3"),
        ("Content-Length: -1",),
        ("Content-Length: 2, 2, 3",),
        ("Transfer-Encoding: gzip, chunked",),
        ("Transfer-Encoding: xchunked",),
        ("Content-Length : 2",),
        ("X-Folded: a\r\n b", "Content-Length: abc"),
        ("Content-Encoding: gzip", "Content-Length: 2"),
        ("X-Big: " + "x" * 70_000,),
    ],
)
def test_heads_that_two_servers_could_read_differently_are_refused(keyed: Caller, lines: tuple[str, ...]) -> None:
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
    received = raw(keyed, head(*lines) + b"{}" + smuggled, wait_s=2.0)
    assert received.startswith((b"HTTP/1.1 4", b"HTTP/1.1 501")) or received == b""
    assert b"HTTP/1.1 200" not in received
    assert b"HTTP/1.1 5" not in received.replace(b"HTTP/1.1 501", b"")


@pytest.mark.parametrize("target", ["http://localhost:1/health?x=1", "HTTP://127.0.0.1/health", "https://[::1]/health"])
def test_a_whole_address_in_the_request_line_is_the_path_in_it(keyed: Caller, target: str) -> None:
    data = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    assert b'"status":"ok"' in raw(keyed, data)


def test_a_whole_address_of_another_host_is_refused_whatever_the_header_says(keyed: Caller) -> None:
    data = b"GET http://evil.example/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    reply = raw(keyed, data)
    assert b" 403 " in reply.split(b"\r\n")[0]
    assert b"evil.example" in reply
