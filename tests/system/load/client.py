"""One client of the load: asks, reads to the end, or vanishes in one of several ways; everything is written down."""

from __future__ import annotations

import http.client
import json
import random
import socket
import struct
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tests.system.load.mix import HOSTILE, Kind

Outcome = Literal["right", "wrong", "busy", "refused", "vanished", "fault"]
TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True)
class Note:
    """What became of one request.

    Attributes:
        kind: Its kind's name.
        outcome: "right" and "wrong" were read to the end; "busy" is 429 or 503; "refused" a hostile one's 400;
            "vanished" left; "fault" is whatever must never be.
        first_s: Seconds until the first byte of the answer's body.
        total_s: Seconds until its end.
        detail: What was wrong.
    """

    kind: str
    outcome: Outcome
    first_s: float = 0.0
    total_s: float = 0.0
    detail: str = ""


class Client(threading.Thread):
    """Sends requests until it is told to stop.

    Attributes:
        notes: What became of them.
    """

    def __init__(
        self, address: str, *, key: str, kinds: Sequence[Kind], answers: Mapping[str, str], seed: int,
        stop: threading.Event,
    ) -> None:  # fmt: skip
        super().__init__(name=f"client-{seed}", daemon=True)
        self.notes: list[Note] = []
        self._address = address
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._kinds, self._answers = kinds, answers
        self._rng = random.Random(seed)
        self._ending = stop

    def run(self) -> None:
        """Send one request after the other."""
        while not self._ending.is_set():
            chance = self._rng.random()
            if chance < 0.05:
                note = self._send_hostile()
            elif chance < 0.25:
                note = self._vanish(self._rng.choice(self._kinds))
            else:
                note = self.ask(self._rng.choice(self._kinds), is_slow=chance > 0.97)
            self.notes.append(note)
            if note.outcome == "busy":
                self._ending.wait(self._rng.uniform(0.2, 1.0))

    def ask(self, kind: Kind, *, is_slow: bool = False) -> Note:
        """Send a request, read its answer to the end, and hold it against the one that is known."""
        started = time.monotonic()
        connection = http.client.HTTPConnection(self._address, timeout=TIMEOUT_S)
        try:
            connection.request("POST", kind.path, json.dumps(kind.body), self._headers)
            answer = connection.getresponse()
            lines, first_s = self._read(answer, started, is_slow=is_slow)
        except (OSError, http.client.HTTPException) as error:
            return Note(kind.name, "fault", detail=repr(error))
        finally:
            connection.close()
        total_s = time.monotonic() - started
        if answer.status in (429, 503):
            is_told = answer.getheader("retry-after") is not None
            return Note(kind.name, "busy" if is_told else "fault", first_s, total_s, detail="no retry-after")
        if answer.status != 200:
            return Note(kind.name, "fault", first_s, total_s, f"{answer.status} {b''.join(lines)[:300]!r}")
        return self._judge(kind, lines, first_s, total_s)

    def _judge(self, kind: Kind, lines: Sequence[bytes], first_s: float, total_s: float) -> Note:
        try:
            said = kind.read(lines)
        except (AssertionError, LookupError, ValueError, TypeError) as error:
            return Note(kind.name, "fault", first_s, total_s, f"{error!r} {lines[-3:]!r}")
        expected = self._answers.get(kind.name, said)
        if said == expected:
            return Note(kind.name, "right", first_s, total_s, said)
        return Note(kind.name, "wrong", first_s, total_s, f"expected {expected}, found {said}")

    def _read(
        self, answer: http.client.HTTPResponse, started: float, *, is_slow: bool
    ) -> tuple[list[bytes], float]:  # fmt: skip
        lines, first_s = [], 0.0
        while line := answer.readline():
            first_s = first_s or time.monotonic() - started
            lines.append(line.rstrip(b"\r\n"))
            if is_slow and len(lines) < 10:
                self._ending.wait(0.2)
        return lines, first_s

    def _send_hostile(self) -> Note:
        path, body = self._rng.choice(HOSTILE)
        connection = http.client.HTTPConnection(self._address, timeout=TIMEOUT_S)
        try:
            connection.request("POST", path, body, self._headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            return Note("hostile", "fault", detail=f"{path} {body[:80]!r}: {error!r}")
        finally:
            connection.close()
        is_well = answer.status == 400 and b"error" in text
        return Note("hostile", "refused" if is_well else "fault", detail=f"{path} {body[:80]!r}: {answer.status}")

    def _vanish(self, kind: Kind) -> Note:
        """Leave: in the middle of the body, at once, while waiting, or in the middle of the answer; politely or not."""
        body = json.dumps({**kind.body, "user": f"{self._rng.random()}"}).encode()
        head = "".join(f"{name}: {value}\r\n" for name, value in self._headers.items())
        head = f"POST {kind.path} HTTP/1.1\r\nHost: localhost\r\n{head}Content-Length: {len(body)}\r\n\r\n"
        way = self._rng.choice(("half", "at once", "waiting", "reading"))
        host, _, port = self._address.partition(":")
        try:
            with socket.create_connection((host, int(port)), timeout=TIMEOUT_S) as connection:
                connection.sendall(head.encode() + (body[: len(body) // 2] if way == "half" else body))
                if way == "waiting":
                    self._ending.wait(self._rng.uniform(0.01, 1.0))
                elif way == "reading":
                    connection.recv(self._rng.choice((1, 200, 2000)))
                if self._rng.random() < 0.5:  # close with a reset instead of an orderly end
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError as error:
            return Note(kind.name, "fault", detail=f"{way}: {error!r}")
        return Note(kind.name, "vanished", detail=way)
