"""A hub on this machine with two repositories: enough of the HTTP interface for a snapshot download."""

from __future__ import annotations

import hashlib
import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "maker/tiny"
GATED_REPOSITORY = "maker/gated"


@dataclass
class FakeHub:
    """What the hub holds and what was asked of it.

    Attributes:
        files: Content by path.
        cut_once: Path whose first answer ends in the middle, as a broken connection does.
        stated_hashes: sha256 by path where the hub states another than the content's.
        ranges: (path, Range header) of every request for content.
        faults: What happens to the next requests for content by path: `503` or `reset`.
        ignores_ranges: Whether a part that is asked for is answered with the whole.
        portal: HTML that answers everything, as a network that wants a login does.
        num_sent_bytes: Bytes of all bodies that were sent.
        address: Set while it runs.
    """

    files: dict[str, bytes]
    cut_once: str | None = None
    stated_hashes: dict[str, str] = field(default_factory=dict)
    ranges: list[tuple[str, str | None]] = field(default_factory=list)
    faults: dict[str, list[str]] = field(default_factory=dict)
    ignores_ranges: bool = False
    portal: bytes = b""
    num_sent_bytes: int = 0
    address: str = ""

    @contextmanager
    def running(self) -> Iterator[FakeHub]:
        """Serve on a free port of this machine."""
        hub = self

        class Handler(_Handler):
            state = hub

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    state: FakeHub

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""

    def _answer(self, *, with_body: bool) -> None:
        path = urlsplit(self.path).path
        content = f"/{REPOSITORY}/resolve/{COMMIT}/"
        if self.state.portal:
            self._send(self.state.portal, with_body=with_body, headers={"Content-Type": "text/html"})
        elif path in (
            f"/api/models/{REPOSITORY}{revision}" for revision in ("", "/revision/main", f"/revision/{COMMIT}")
        ):
            info = {"id": REPOSITORY, "sha": COMMIT, "siblings": self._siblings()}
            self._send(json.dumps(info).encode(), with_body=with_body)
        elif path == f"/api/models/{REPOSITORY}/tree/{COMMIT}":
            self._send(json.dumps(self._tree()).encode(), with_body=with_body)
        elif path.startswith(content) and path.removeprefix(content) in self.state.files:
            self._send_file(path.removeprefix(content), with_body=with_body)
        elif path.startswith(f"/api/models/{GATED_REPOSITORY}/"):
            self._refuse(403, "GatedRepo")
        else:
            self._refuse(404, "RepoNotFound")

    def _siblings(self) -> list[dict[str, object]]:
        """List the files with the sha256 that large ones have on the hub."""
        siblings: list[dict[str, object]] = []
        for path, data in self.state.files.items():
            entry: dict[str, object] = {"rfilename": path, "size": len(data), "blobId": hashlib.sha1(data).hexdigest()}
            if path.endswith(".safetensors"):
                sha256 = self.state.stated_hashes.get(path) or hashlib.sha256(data).hexdigest()
                entry["lfs"] = {"sha256": sha256, "size": len(data), "pointerSize": 134}
            siblings.append(entry)
        return siblings

    def _tree(self) -> list[dict[str, object]]:
        return [
            {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
            for path, data in self.state.files.items()
        ]

    def _send_file(self, path: str, *, with_body: bool) -> None:
        whole, wanted = self.state.files[path], self.headers.get("Range")
        if with_body:
            self.state.ranges.append((path, wanted))
            if self._fails(path):
                return
        wanted = None if self.state.ignores_ranges else wanted
        start_text, _, stop_text = (wanted or "bytes=0-").removeprefix("bytes=").partition("-")
        start, total = int(start_text), len(whole)
        data = whole[: int(stop_text) + 1] if stop_text else whole
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(whole).hexdigest()}"', "Accept-Ranges": "bytes"}
        if wanted:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{total}"
        is_cut = with_body and path == self.state.cut_once
        if is_cut:
            self.state.cut_once = None
        self._send(data[start:], with_body=with_body, headers=headers, status=206 if wanted else 200, is_cut=is_cut)

    def _fails(self, path: str) -> bool:
        """Do what was planned to go wrong with this request; tell whether something was."""
        planned = self.state.faults.get(path)
        fault = planned.pop(0) if planned else ""
        if fault == "503":
            self._refuse(503, "Busy")
        elif fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
        return bool(fault)

    def _send(
        self,
        body: bytes,
        *,
        with_body: bool,
        headers: dict[str, str] | None = None,
        status: int = 200,
        is_cut: bool = False,
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if not with_body:
            return
        body = body[: len(body) // 2] if is_cut else body
        with suppress(ConnectionError):  # the client has seen enough
            for start in range(0, len(body), 2**16):
                self.wfile.write(body[start : start + 2**16])
                self.state.num_sent_bytes += len(body[start : start + 2**16])

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()
