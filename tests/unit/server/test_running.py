from __future__ import annotations

import socket

import pytest

from edge.errors import EdgeError, UsageError
from edge.server.arguments import ServerOptions
from edge.server.running import BackgroundServer, open_socket
from tests.unit.server.conftest import Caller


def test_a_model_that_cannot_be_loaded_is_told_to_who_starts_the_server() -> None:
    with pytest.raises(EdgeError, match="/none/such: no such folder"):
        BackgroundServer(ServerOptions(port=0, models=("/none/such",)))


def test_a_port_in_use_is_told(server: BackgroundServer) -> None:
    port = int(server.url.rpartition(":")[2])
    with pytest.raises(UsageError, match=f"port {port} "):
        BackgroundServer(ServerOptions(port=port, models=("demo",)))


def test_the_url_answers(server: BackgroundServer) -> None:
    assert Caller(server.url).get("/").status == 200


def test_a_caller_waits_while_the_model_is_loaded_and_is_not_refused() -> None:
    with (
        open_socket(ServerOptions(port=0)) as listener,
        socket.create_connection(listener.getsockname()[:2], timeout=5),
    ):
        pass
