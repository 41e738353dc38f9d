"""Ask a server over HTTP and note when its tokens came; what a server computed is told in seconds of its processor too.

Seconds on the clock depend on what else the machine does; seconds of the server's process do so far less.
"""

from __future__ import annotations

import http.client
import json
import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psutil

Json = Any
TIMEOUT_S = 900.0


@dataclass(frozen=True, slots=True)
class Answered:
    """One streamed answer.

    Attributes:
        started_s: When it was asked for, on `time.monotonic`'s clock.
        arrivals_s: When each piece of it came.
        num_tokens: Its tokens, as the server counts them; pieces where it does not.
        prompt_tokens: Tokens of its prompt, as the server counts them.
        worked_s: Seconds of the server's processor at each piece, where its process was given.
    """

    started_s: float
    arrivals_s: Sequence[float]
    num_tokens: int
    prompt_tokens: int
    worked_s: Sequence[float] = ()

    @property
    def first_s(self) -> float:
        """Seconds to the first piece."""
        return self.arrivals_s[0] - self.started_s

    @property
    def gaps_s(self) -> list[float]:
        """Seconds between pieces."""
        return [after - before for before, after in zip(self.arrivals_s, self.arrivals_s[1:], strict=False)]

    @property
    def ended_s(self) -> float:
        """When the last piece came."""
        return self.arrivals_s[-1]


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast some clients were served together.

    Attributes:
        num_clients: Clients at a time.
        tokens: Tokens of all answers.
        wall_s: Seconds on the clock from the first question to the last token.
        cpu_s: Seconds of the server's process in that time.
        first_s: Median of the seconds to the first token.
    """

    num_clients: int
    tokens: int
    wall_s: float
    cpu_s: float
    first_s: float

    @property
    def line(self) -> str:
        """Write it down as a row of a table."""
        return (
            f"| {self.num_clients} | {self.first_s:.2f} s | {self.tokens / self.wall_s:.1f} tokens/s "
            f"| {self.tokens / self.cpu_s:.1f} tokens/s |"
        )


def ask(
    address: str,
    body: Json,
    *,
    path: str = "/v1/chat/completions",
    key: str = "none",
    process: psutil.Process | None = None,
) -> Answered:
    """Stream one chat completion to its end."""
    started = time.monotonic()
    arrivals: list[float] = []
    worked: list[float] = []
    usage: Json = {}
    connection = http.client.HTTPConnection(address, timeout=TIMEOUT_S)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    more = {"stream": True, "stream_options": {"include_usage": True}}
    try:
        connection.request("POST", path, json.dumps({**body, **more}), headers)
        answer = connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"{address}{path}: {answer.status} {answer.read()[:500]!r}")
        while line := answer.readline():
            if not line.startswith(b"data: {"):
                continue
            chunk = json.loads(line[6:])
            usage = chunk.get("usage") or usage
            deltas = [choice["delta"] for choice in chunk.get("choices") or []]
            if any(delta.get(name) for delta in deltas for name in ("content", "reasoning_content", "reasoning")):
                arrivals.append(time.monotonic())
                worked += [_cpu_s(process)] if process else []
    finally:
        connection.close()
    tokens = usage.get("completion_tokens") or usage.get("output_tokens") or len(arrivals)
    prompt_tokens = usage.get("prompt_tokens") or usage.get("input_tokens") or 0
    return Answered(started, arrivals, tokens, prompt_tokens, worked)


def ask_together(address: str, bodies: Sequence[Json], *, process: psutil.Process) -> Rate:
    """Ask everything at the same time."""
    answers: list[Answered] = []
    threads = [threading.Thread(target=lambda body=body: answers.append(ask(address, body))) for body in bodies]
    before_s, started = _cpu_s(process), time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if sum(bool(answer.arrivals_s) for answer in answers) < len(bodies):
        raise RuntimeError(f"{address}: of {len(bodies)} questions some got no answer")
    return Rate(
        len(bodies),
        sum(answer.num_tokens for answer in answers),
        max(answer.ended_s for answer in answers) - started,
        max(1e-9, _cpu_s(process) - before_s),
        statistics.median(answer.first_s for answer in answers),
    )


def _cpu_s(process: psutil.Process) -> float:
    family = [process, *process.children(recursive=True)]
    return float(sum(sum(one.cpu_times()[:2]) for one in family))
