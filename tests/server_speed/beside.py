"""Servers of other runtimes on the same checkpoint: how each is started, and the same questions to all."""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.server_speed.asking import Rate, ask_together
from tests.server_speed.together import question
from tests.system.server_process import ServerProcess

Json = Any
START_S = 300.0
CLIENTS = (1, 4, 8)
LLAMA = """
import sys, time, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.mmproj.path = sys.argv[1:3]
params.hostnames, params.port = ["127.0.0.1"], int(sys.argv[3])
params.n_ctx, params.n_parallel, params.warmup, params.use_jinja = 16384, 8, False, True
params.cpuparams.n_threads, params.fit_params = 1, False
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
while True:
    time.sleep(60)
"""


Started = AbstractContextManager[tuple[str, psutil.Process]]
"""Gives a server's host:port and its process, and ends it."""


def add_peers(parser: argparse.ArgumentParser) -> None:
    """Add the options that name other servers' files; `peers` reads them."""
    parser.add_argument("--gguf", nargs=2, type=Path, metavar=("MODEL", "MMPROJ"))
    parser.add_argument("--mlx-vlm", nargs=2, type=Path, metavar=("PYTHON", "FOLDER"))


def peers(given: argparse.Namespace) -> list[tuple[str, str, Started]]:
    """Return this server and those asked for: name, model for requests, and what starts it."""
    servers: list[tuple[str, str, Started]] = [("edge", "demo", edge_server())]
    if given.gguf:
        servers.append(("llama.cpp", "demo", llama_server(*given.gguf)))
    if given.mlx_vlm:
        servers.append(("mlx-vlm", str(given.mlx_vlm[1]), mlx_vlm_server(*given.mlx_vlm)))
    return servers


@contextmanager
def edge_server() -> Iterator[tuple[str, psutil.Process]]:
    """Start this runtime's server."""
    with ServerProcess() as server:
        yield server.url.removeprefix("http://"), psutil.Process(server.process.pid)


@contextmanager
def llama_server(model: Path, projector: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Start llama.cpp's server, with one thread."""
    port = _free_port()
    command = [sys.executable, "-c", LLAMA, str(model), str(projector), str(port)]
    with _running(command, port, "/health") as found:
        yield found


@contextmanager
def mlx_vlm_server(python: Path, model: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Start mlx-vlm's server from an environment of its own; on a CPU it takes float32 weights only."""
    port = _free_port()
    options = ["--host", "127.0.0.1", "--port", str(port), "--model", str(model)]
    with _running([str(python), "-m", "mlx_vlm.server", *options], port, "/v1/models") as found:
        yield found


def measure(address: str, process: psutil.Process, *, model: str) -> Iterator[Rate]:
    """Ask as 1, 4 and 8 clients at once."""
    bodies = [{**question(number), "model": model} for number in range(200)]
    ask_together(address, bodies[-1:], process=process)
    for place, count in enumerate(CLIENTS):
        yield ask_together(address, bodies[20 * place : 20 * place + count], process=process)


@contextmanager
def _running(command: Sequence[str], port: int, path: str) -> Iterator[tuple[str, psutil.Process]]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + START_S
            while not _answers(f"http://127.0.0.1:{port}{path}"):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command[0]} {command[1]} ...: the server did not start")
                time.sleep(0.5)
            yield f"127.0.0.1:{port}", psutil.Process(process.pid)
        finally:
            process.terminate()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
