"""Fetch a picture or video from a public address, and from nowhere else.

In: an http(s) address that a client wrote. Out: the bytes. A name is resolved once, every address it has must be
public, and the connection goes to the very address that was checked, so that a name cannot change in between; each
redirect goes through the same door. Size, time and hops are bounded, proxies and credentials are not used.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable
from urllib.parse import SplitResult, urljoin, urlsplit

from edge.records import dataclass
from edge.server.errors import ApiError

Resolve = Callable[[str, int], list[str]]
REDIRECTS = (301, 302, 303, 307, 308)
_NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Bounds of one fetch.

    Attributes:
        max_bytes: Largest file.
        total_s: Seconds for all of it, redirects included.
        redirects: Most redirects.
    """

    max_bytes: int = 64 << 20
    total_s: float = 20.0
    redirects: int = 3


def fetch(
    url: str,
    *,
    limits: FetchLimits,
    is_allowed: Callable[[str], bool] | None = None,
    resolve: Resolve | None = None,
) -> bytes:
    """Fetch what an address names; for worker threads.

    Args:
        url: The address.
        limits: Bounds.
        is_allowed: Whether an IP address may be reached; None takes `is_public`.
        resolve: Resolves a name; None takes the system's resolver.

    Raises:
        ApiError: It may not or cannot be fetched; the message tells nothing of what an inner address answered.
    """
    deadline = time.monotonic() + limits.total_s
    for _ in range(limits.redirects + 1):
        parts = _split(url)
        address = _checked_address(parts, is_allowed or is_public, resolve or _resolve)
        answer = _get(parts, address, deadline, limits.max_bytes)
        if isinstance(answer, bytes):
            return answer
        url = urljoin(url, answer)
    raise _refused(url, f"redirects more than {limits.redirects} times")


def is_public(address: str) -> bool:
    """Tell whether an IP address belongs to the open internet, whatever form it is dressed in."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        # Forms of IPv6 that carry an IPv4 address reach that one.
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and any(ip in network for network in _NAT64):
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if int(ip) >> 32 == 0:
            return False  # IPv4-compatible, long gone
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise _refused(url, "is no valid address") from None
    if parts.scheme not in ("http", "https"):
        raise _refused(url, "is neither http nor https")
    if not host or parts.username is not None or parts.password is not None:
        raise _refused(url, "has no host, or a user name in it")
    if not url.isascii() or any(character <= " " or character == "\x7f" for character in url):
        raise _refused(url, "has characters that belong percent-encoded")
    return parts


def _checked_address(parts: SplitResult, is_allowed: Callable[[str], bool], resolve: Resolve) -> str:
    """Resolve the host, refuse it if any of its addresses is not public, and return the first."""
    host = parts.hostname or ""
    try:
        addresses = resolve(host, _port(parts))
    except (OSError, UnicodeError):
        raise _refused(parts.geturl(), "has a host that is not found") from None
    if not addresses or not all(is_allowed(address) for address in addresses):
        raise _refused(parts.geturl(), "does not lead to a public address")
    return addresses[0]


def _resolve(host: str, port: int) -> list[str]:
    # Decimal, octal and short forms of IPv4 come out of here as what they mean, and are checked as that.
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


def _get(parts: SplitResult, address: str, deadline: float, max_bytes: int) -> bytes | str:
    """Return the file, or where it is to be looked for instead."""
    connection = _Connection(parts, address, deadline)
    # A server that drips bytes never times out on one of them: at the deadline the socket is shut.
    alarm = threading.Timer(max(0.0, deadline - time.monotonic()), connection.shut)
    alarm.daemon = True
    alarm.start()
    try:
        target = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
        headers = {"Accept": "image/*, video/*", "Accept-Encoding": "identity", "User-Agent": "qwen3vl-edge"}
        connection.request("GET", target, headers=headers)
        answer = connection.getresponse()
        if answer.status in REDIRECTS and answer.getheader("location"):
            return str(answer.getheader("location"))
        if answer.status != 200:
            raise _refused(parts.geturl(), f"answers with status {answer.status}")
        data = _read(answer, max_bytes, parts)
    except (OSError, http.client.HTTPException, ValueError):
        reason = "took too long" if time.monotonic() >= deadline else "cannot be fetched"
        raise _refused(parts.geturl(), reason) from None
    finally:
        alarm.cancel()
        connection.close()
    if time.monotonic() >= deadline:
        raise _refused(parts.geturl(), "took too long")
    return data


def _read(answer: http.client.HTTPResponse, max_bytes: int, parts: SplitResult) -> bytes:
    pieces, length = [], 0
    while piece := answer.read(1 << 16):
        length += len(piece)
        if length > max_bytes:
            raise _refused(parts.geturl(), f"is larger than {max_bytes} bytes")
        pieces.append(piece)
    return b"".join(pieces)


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _refused(url: str, why: str) -> ApiError:
    shown = url if len(url) <= 80 else url[:77] + "..."
    return ApiError("invalid_request", f"{shown}: {why}. Send the file as a data URL.", code="invalid_media_url")


class _Connection(http.client.HTTPConnection):
    """A connection to an address that was checked, under the name that was asked for."""

    def __init__(self, parts: SplitResult, address: str, deadline: float) -> None:
        super().__init__(parts.hostname or "", _port(parts), timeout=max(0.1, deadline - time.monotonic()))
        self._address = address
        self._tls_name = parts.hostname if parts.scheme == "https" else None
        self._is_shut = False
        self.default_port = 443 if parts.scheme == "https" else 80

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, self.port), self.timeout)
        if self._tls_name is not None:
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(self.sock, server_hostname=self._tls_name)
        if self._is_shut:
            raise TimeoutError

    def shut(self) -> None:
        """End it from another thread."""
        self._is_shut = True
        if self.sock is not None:
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)
