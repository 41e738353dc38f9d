"""Put load on a server for some time, with more clients than it has room for."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence

import httpx
import psutil

from tests.system.load.client import Client
from tests.system.load.mix import Kind
from tests.system.load.report import Report, Sample
from tests.system.server_process import ServerProcess

KEYS = ("the-many", "the-few")
LIMITS = ("--rows", "2", "--max-waiting", "1", "--max-per-client", "4", "--api-key", KEYS[0], "--api-key", KEYS[1])
"""Four seats (two rows, two in preparation) and one chair: eight clients are over it, six of them over their key's."""
QUIET_S = 60.0


def run_load(
    server: ServerProcess, kinds: Sequence[Kind], *, seconds: float, num_clients: int = 8, seed: int = 0
) -> Report:
    """Run it.

    Args:
        server: Started with `LIMITS`.
        kinds: What to ask; each is asked alone first.
        seconds: How long.
        num_clients: Clients, a quarter of them with a key of their own.
        seed: Another one sends other requests.
    """
    address = server.url.removeprefix("http://")
    answers = _answers_alone(address, kinds)
    process = psutil.Process(server.process.pid)
    stop, started = threading.Event(), time.monotonic()
    clients = [
        Client(address, key=KEYS[number % 4 == 0], kinds=kinds, answers=answers, seed=seed * 1000 + number, stop=stop)
        for number in range(num_clients)
    ]
    samples = [_sample(process, started)]
    for client in clients:
        client.start()
    while time.monotonic() - started < seconds and any(client.is_alive() for client in clients):
        time.sleep(min(2.0, seconds / 8))
        samples.append(_sample(process, started))
    stop.set()
    for client in clients:
        client.join()
    took_s = time.monotonic() - started
    _wait_until_quiet(server.url)
    return Report(
        seconds=took_s,
        notes=[note for client in clients for note in client.notes],
        samples=samples,
        after=_sample(process, started),
        faults=[line for line in server.log if '"level": "error"' in line or "Traceback" in line],
    )


def _answers_alone(address: str, kinds: Sequence[Kind]) -> dict[str, str]:
    """Ask for every kind on an idle server, twice: the second time from the caches."""
    first: dict[str, str] = {}
    client = Client(address, key=KEYS[0], kinds=kinds, answers=first, seed=0, stop=threading.Event())
    for _ in range(2):
        for kind in kinds:
            note = client.ask(kind)
            assert note.outcome == "right", json.dumps([kind.name, note.detail])
            first.setdefault(kind.name, note.detail)
    return first


def _wait_until_quiet(url: str) -> None:
    """Wait until nothing works: a client that vanished must not leave its row behind."""
    deadline = time.monotonic() + QUIET_S
    while True:
        health = httpx.get(f"{url}/health").json()
        if not health["working"] and not health["waiting"]:
            return
        assert time.monotonic() < deadline, f"rows of clients that left still work: {health}"
        time.sleep(0.1)


def _sample(process: psutil.Process, started: float) -> Sample:
    return Sample(
        at_s=time.monotonic() - started,
        rss_bytes=process.memory_info().rss,
        num_threads=process.num_threads(),
        num_files=process.num_fds(),
    )
