"""A streamed answer and its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from types import SimpleNamespace
from typing import Any

import pytest

from edge.server import streams
from edge.server.streams import JsonLines

Message = MutableMapping[str, Any]  # Any: ASGI's


class Held:
    """An asking, as far as streams go."""

    def __init__(self) -> None:
        self.http = None
        self.is_closed = False

    async def close(self) -> None:
        self.is_closed = True


async def two_pieces() -> AsyncIterator[bytes]:
    yield b"one\n"
    yield b"two\n"


async def stay() -> Message:
    await asyncio.Event().wait()
    return {"type": "http.disconnect"}


def test_a_seat_is_free_again_before_the_client_sees_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = SimpleNamespace(options=SimpleNamespace(limits=SimpleNamespace(send_s=5.0)))
    monkeypatch.setattr(streams, "serving_of", lambda http: limits)
    monkeypatch.setattr(streams, "record_of", lambda http: {})
    asking, sent = Held(), list[tuple[bytes, bool]]()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            sent.append((message["body"], asking.is_closed))

    response = JsonLines(two_pieces(), asking=asking)  # type: ignore[arg-type]  # only these members are used
    asyncio.run(response({"type": "http"}, stay, send))
    assert sent == [(b"one\n", False), (b"two\n", False), (b"", True)]
