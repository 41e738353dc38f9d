"""Sixteen clients at once, in every protocol: each gets the answer that it gets alone."""

from __future__ import annotations

import http.client
import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from tests.system.load.mix import Kind, all_kinds
from tests.system.server_process import ServerProcess

CLIENTS = 16


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with ServerProcess(["--rows", "8", "--max-waiting", str(CLIENTS), "--max-per-client", str(CLIENTS)]) as server:
        yield urlsplit(server.url).netloc
        assert server.stop() == 0
        assert not [line for line in server.log if "Traceback" in line]


def answer(address: str, kind: Kind) -> str:
    connection = http.client.HTTPConnection(address, timeout=120)
    try:
        connection.request("POST", kind.path, json.dumps(kind.body), {"Content-Type": "application/json"})
        reply = connection.getresponse()
        lines = reply.read().splitlines()
        assert reply.status == 200, (kind.name, lines[:3])
        return kind.read(lines)
    finally:
        connection.close()


def test_sixteen_clients_of_all_protocols_get_their_single_answers(address: str) -> None:
    kinds = all_kinds()
    paths = {kind.path for kind in kinds}
    assert len(kinds) > CLIENTS
    assert paths >= {"/v1/chat/completions", "/v1/responses", "/v1/messages", "/api/chat", "/api/generate"}
    alone = {kind.name: answer(address, kind) for kind in kinds}
    assert len(set(alone.values())) > len(kinds) // 2, "answers are too alike to tell rows that were mixed up"
    order = random.Random(3).sample(kinds, len(kinds))
    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = pool.map(lambda kind: answer(address, kind), order)
        together = dict(zip([kind.name for kind in order], answers, strict=True))
    assert together == alone
