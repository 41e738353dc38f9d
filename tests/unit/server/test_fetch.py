from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from edge.server.errors import ApiError
from edge.server.fetch import FetchLimits, fetch, is_public

QUICK = FetchLimits(max_bytes=1000, total_s=2.0, redirects=2)


@contextmanager
def answering(*answers: bytes, drip_s: float = 0.0) -> Iterator[tuple[int, list[bytes]]]:
    """A server on 127.0.0.1 that gives these answers, one a connection, and remembers what it was asked."""
    asked: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(5)

    def serve() -> None:
        for answer in answers:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                asked.append(connection.recv(65536))
                try:
                    for place in range(len(answer)) if drip_s else [0]:
                        connection.sendall(answer[place : place + 1] if drip_s else answer)
                        time.sleep(drip_s)
                except OSError:
                    pass

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1], asked
    finally:
        listener.close()
        thread.join()


def ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def to_local(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


def fetch_here(url: str, *, allows: Callable[[str], bool] = lambda address: True) -> bytes:
    return fetch(url, limits=QUICK, is_allowed=allows, resolve=to_local)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
        *("100.64.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1", "198.18.0.1", "192.0.2.1"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "64:ff9b:1::a00:1"),
        *("2001:0:4136:e378:8000:63bf:80ff:fffe", "not an address", ""),
    ],
)
def test_addresses_that_are_not_public_are_none(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.1/", "http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/", "http://127.1/"),
        *("http://localhost/", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://0/", "http://[fe80::1]/"),
        *("https://169.254.169.254/latest/meta-data",),
    ],
)
def test_inner_addresses_are_refused_in_every_spelling(url: str) -> None:
    with pytest.raises(ApiError, match=r"public address|not found"):
        fetch(url, limits=QUICK)


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://example.org/a", "file:///etc/passwd", "gopher://x/", "http://", "http://user@example.org/"),
        *(
            "http://user:pw@example.org/",
            "http://exa mple.org/",
            "http://example.org/\r\nX: y",
            "http://[::1",
            "http://h:99999/",
        ),
        "http://ex\u00e4mple.org/",
    ],
)
def test_addresses_of_other_kinds_are_refused(url: str) -> None:
    with pytest.raises(ApiError):
        fetch(url, limits=QUICK, resolve=lambda host, port: ["1.1.1.1"], is_allowed=lambda address: False)


def test_one_inner_address_among_public_ones_is_enough_to_refuse() -> None:
    with pytest.raises(ApiError, match="public address"):
        fetch("http://mixed.example/", limits=QUICK, resolve=lambda host, port: ["1.1.1.1", "10.0.0.1"])


def test_a_name_is_resolved_once_and_that_address_is_reached() -> None:
    asked_for: list[str] = []

    def rebind(host: str, port: int) -> list[str]:
        asked_for.append(host)
        return ["127.0.0.1"] if len(asked_for) == 1 else ["10.0.0.1"]

    with answering(ok(b"picture")) as (port, asked):
        url = f"http://name.example:{port}/a.png?b=c#d"
        assert fetch(url, limits=QUICK, is_allowed=lambda address: True, resolve=rebind) == b"picture"
    assert asked_for == ["name.example"]
    assert asked[0].startswith(b"GET /a.png?b=c HTTP/1.1\r\n")
    assert f"Host: name.example:{port}\r\n".encode() in asked[0]


def test_a_redirect_goes_through_the_same_door() -> None:
    inward = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    allowed = {"127.0.0.1"}

    def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"] if host == "name.example" else [host]

    with answering(inward) as (port, _), pytest.raises(ApiError, match="public address"):
        fetch(f"http://name.example:{port}/", limits=QUICK, is_allowed=allowed.__contains__, resolve=resolve)


def test_a_redirect_to_a_file_is_refused() -> None:
    to_file = b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"
    with answering(to_file) as (port, _), pytest.raises(ApiError, match="neither http nor https"):
        fetch_here(f"http://name.example:{port}/")


def test_redirects_are_followed_so_often_and_no_more() -> None:
    on = b"HTTP/1.1 307 Moved\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n"
    with answering(on, on, ok(b"x")) as (port, asked):
        assert fetch_here(f"http://name.example:{port}/") == b"x"
        assert asked[2].startswith(b"GET /next ")
    with answering(on, on, on) as (port, _), pytest.raises(ApiError, match="redirects more than 2"):
        fetch_here(f"http://name.example:{port}/")


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_file_over_the_limit_is_refused(head: bytes) -> None:
    with answering(head + b"x" * 2000) as (port, _), pytest.raises(ApiError, match="larger than 1000"):
        fetch_here(f"http://name.example:{port}/")


def test_what_answers_with_an_error_is_not_told_on() -> None:
    secret = b"HTTP/1.1 403 No\r\nContent-Length: 6\r\n\r\nsecret"
    with answering(secret) as (port, _), pytest.raises(ApiError, match="status 403") as refused:
        fetch_here(f"http://name.example:{port}/")
    assert "secret" not in str(refused.value)


def test_a_server_that_drips_is_left_at_the_deadline() -> None:
    started = time.monotonic()
    with answering(ok(b"x" * 900), drip_s=0.05) as (port, _), pytest.raises(ApiError, match="took too long"):
        fetch(
            f"http://name.example:{port}/",
            limits=FetchLimits(max_bytes=1000, total_s=0.5),
            is_allowed=lambda address: True,
            resolve=to_local,
        )
    assert time.monotonic() - started < 3


def test_something_that_speaks_no_http_is_refused() -> None:
    with answering(b"SSH-2.0-x\r\n") as (port, _), pytest.raises(ApiError, match="cannot be fetched"):
        fetch_here(f"http://name.example:{port}/")
