"""Another runtime's server: pairs by turns, ratios, and one line about what is wrong with it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import numpy as np
import pytest

from edge.bench.against import Server, paired_figures
from edge.bench.asking import Asking
from edge.errors import EdgeError, UsageError


class Fake(BaseHTTPRequestHandler):
    """A server that answers in three pieces, or as it is told."""

    pieces: ClassVar[list[dict[str, Any]]] = []
    bodies: ClassVar[list[dict[str, Any]]] = []

    def do_GET(self) -> None:
        self._send(json.dumps({"data": [{"id": "other-model"}]}))

    def do_POST(self) -> None:
        self.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        if not self.pieces:
            self.send_error(503)
            return
        self._send("".join(f"data: {json.dumps(piece)}\n\n" for piece in self.pieces) + "data: [DONE]\n\n")

    def log_message(self, *_: object) -> None:
        pass

    def _send(self, text: str) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())


@pytest.fixture
def url() -> Iterator[str]:
    Fake.pieces = [
        {"choices": [{"delta": {"role": "assistant"}}]},
        {"choices": [{"delta": {"reasoning_content": "so"}}]},
        {"choices": [{"delta": {"content": "yes"}}]},
        {"choices": [], "usage": {"completion_tokens": 7}},
    ]
    Fake.bodies = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Fake)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class FakeAsking:
    """This runtime, which always takes a second to the first token and then a hundred tokens a second."""

    def prompt(self, num_tokens: int) -> list[dict[str, Any]]:
        return [{"role": "user", "content": "x" * num_tokens}]

    def run(self, messages: object, num_tokens: int) -> object:
        return SimpleNamespace(first_token_s=1.0, decode_tokens_per_s=100.0)

    def picture(self, width: int, height: int) -> np.ndarray:
        return np.zeros((height, width, 3), dtype=np.uint8)


def test_both_are_asked_the_same_and_compared(url: str) -> None:
    server = Server(url)
    assert (server.model, server.url) == ("other-model", f"{url}/v1")
    figures = list(paired_figures(cast(Asking, FakeAsking()), server, depths=[5], picture=(8, 4), tokens=7, pairs=2))
    assert [figure.what for figure in figures[:4]] == [
        "first token",
        "first token",
        "first token, times faster",
        "decode",
    ]
    mine, theirs, ratio = figures[:3]
    assert ratio.runs == tuple(b / a for a, b in zip(mine.runs, theirs.runs, strict=True))
    assert [body["messages"][0]["content"] for body in Fake.bodies[:2]] == ["xxxxx", "xxxxx"]
    assert {(body["max_tokens"], body["temperature"], body["stream"]) for body in Fake.bodies} == {(7, 0, True)}
    picture = Fake.bodies[-1]["messages"][0]["content"][0]["image_url"]["url"]
    assert picture.startswith("data:image/png;base64,")


def test_a_server_without_an_answer_is_one_line(url: str) -> None:
    server, Fake.pieces = Server(url), [{"choices": [{"delta": {}}]}]
    with pytest.raises(EdgeError, match="found no piece of text"):
        server.answer([], 5)
    Fake.pieces = []
    with pytest.raises(EdgeError, match="found status 503"):
        server.answer([], 5)


def test_no_server_and_no_address_are_one_line(url: str) -> None:
    with pytest.raises(EdgeError, match="expected a server there"):
        Server("http://127.0.0.1:1/v1")
    with pytest.raises(UsageError, match="expected an address"):
        Server("localhost")
