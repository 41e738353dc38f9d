"""A server on a free port, and how it is asked."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from edge.server.arguments import ServerOptions
from edge.server.running import BackgroundServer

Json = Any


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        return json.loads(self.body)

    @property
    def events(self) -> list[Json]:
        """The data of a stream's events, [DONE] as text."""
        lines = [line[6:] for line in self.body.decode().split("\n") if line.startswith("data: ")]
        return [line if line == "[DONE]" else json.loads(line) for line in lines]


class Caller:
    """Asks one server."""

    def __init__(self, url: str, *, timeout_s: float = 60.0) -> None:
        self.url = url
        self._timeout_s = timeout_s
        self.address = url.removeprefix("http://")

    def send(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Reply:
        connection = http.client.HTTPConnection(self.address, timeout=self._timeout_s)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Reply:
        return self.send("GET", path, headers=headers)

    def post(self, path: str, body: Json, headers: dict[str, str] | None = None) -> Reply:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.send("POST", path, data, {"Content-Type": "application/json", **(headers or {})})

    def chat(self, text: str = "Hi", **fields: Json) -> Reply:
        body = {"messages": [{"role": "user", "content": text}], "max_tokens": 6, "temperature": 0, **fields}
        return self.post("/v1/chat/completions", body)


@pytest.fixture(scope="session")
def server() -> Iterator[BackgroundServer]:
    with BackgroundServer(ServerOptions(port=0, models=("demo",))) as running:
        yield running


@pytest.fixture
def caller(server: BackgroundServer) -> Caller:
    return Caller(server.url)
