"""The clients of examples/clients against a running server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.server_process import ServerProcess

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = ROOT / "examples" / "clients"
QUESTION = "What does the sign say?"
ANSWER = 'It says "APPLE".'


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with ServerProcess() as running:
        yield running


def run(server: ServerProcess, program: str, name: str, *arguments: str) -> str:
    done = subprocess.run(
        [program, CLIENTS / name, *(arguments or (ROOT / "examples" / "images" / "sign.png", QUESTION))],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "EDGE_URL": server.url},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["openai_client.py", "anthropic_client.py", "ollama_client.py"])
def test_a_client_prints_the_answer(server: ServerProcess, name: str) -> None:
    assert run(server, sys.executable, name).strip() == ANSWER


def test_typed_data_comes_from_openais_client(server: ServerProcess) -> None:
    assert run(server, sys.executable, "openai_typed.py").strip() == "Sign(text='APPLE')"


def test_tools_are_called_by_openais_client(server: ServerProcess) -> None:
    answer = run(server, sys.executable, "openai_tools.py", "What is the weather in Paris?")
    assert answer.strip() == "It is sunny in Paris, 21 degrees."


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")
def test_curl_gets_the_answer(server: ServerProcess) -> None:
    body = json.loads(run(server, "sh", "curl_client.sh"))
    assert body["choices"][0]["message"]["content"] == ANSWER
