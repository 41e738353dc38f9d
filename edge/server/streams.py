"""Stream an answer: server-sent events or JSON lines, with signs of life, until the client leaves or stops reading.

In: an async iterator of pieces. Out: a response that closes its asking at the end, whatever the end is. Written here
because sse-starlette has no JSON lines and cuts running streams when the server is told to stop, which is when they
are to have their grace time.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from edge.server.asking import Asking
from edge.server.serving import record_of, serving_of

PING_S = 15.0


class LiveResponse(Response):
    """A response that is written while the answer comes.

    Subclasses say what a piece looks like. `pieces` should write failures of the answer down itself; an exception that
    it lets through ends the connection.
    """

    ping: ClassVar[bytes] = b""

    def __init__(
        self, pieces: AsyncIterator[bytes], *, asking: Asking, headers: Mapping[str, str] | None = None
    ) -> None:
        """Make a response.

        Args:
            pieces: What to write.
            asking: Closed at the end.
            headers: Further headers.
        """
        self.pieces = pieces
        self.asking = asking
        self.status_code = 200
        self.background = None
        self.init_headers({"cache-control": "no-cache", "x-accel-buffering": "no", **(headers or {})})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write until the end, or until the client is gone."""
        writing = asyncio.ensure_future(self._write(send))
        leaving = asyncio.ensure_future(_wait_until_gone(receive))
        record = record_of(self.asking.http)
        try:
            await asyncio.wait((writing, leaving), return_when=asyncio.FIRST_COMPLETED)
            if writing.done():
                writing.result()
            else:
                record["client_gone"] = True
        except TimeoutError:
            record["client_gone"] = True  # it stopped reading: closing the connection is all that is left
        finally:
            for task in (writing, leaving):
                task.cancel()
            await asyncio.wait((writing, leaving))
            await self.asking.close()

    async def _write(self, send: Send) -> None:
        send_s = serving_of(self.asking.http).options.limits.send_s
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        taking = asyncio.ensure_future(_take(self.pieces))
        try:
            while True:
                done, _ = await asyncio.wait((taking,), timeout=PING_S if self.ping else None)
                piece: bytes | None = self.ping
                if done:
                    piece = taking.result()
                    if piece is None:
                        break
                    taking = asyncio.ensure_future(_take(self.pieces))
                async with asyncio.timeout(send_s):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        finally:
            taking.cancel()
            await asyncio.wait((taking,))
        await self.asking.close()  # before the client sees the end: it may ask again at once, and needs this seat
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class ServerSentEvents(LiveResponse):
    """text/event-stream, with comments as signs of life."""

    media_type = "text/event-stream"
    ping = b": ping\n\n"


class JsonLines(LiveResponse):
    """application/x-ndjson."""

    media_type = "application/x-ndjson"


def sse(data: Any, *, event: str | None = None) -> bytes:  # Any: JSON
    """Write one server-sent event; text that is no JSON, such as [DONE], is given as `str`."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return (f"event: {event}\n" if event else "").encode() + b"data: " + text.encode("utf-8", "replace") + b"\n\n"


def json_line(data: Any) -> bytes:  # Any: JSON
    """Write one line of JSON."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


async def _take(pieces: AsyncIterator[bytes]) -> bytes | None:
    async for piece in pieces:
        return piece
    return None


async def _wait_until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
