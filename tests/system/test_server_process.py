"""The server as a program: how it starts, stops and writes its log."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time

import httpx
import pytest

from tests.system.server_process import ServerProcess

LONG = {
    "messages": [{"role": "user", "content": "What is in this picture?"}],
    "max_tokens": 40,
    "temperature": 1.0,
    "response_format": {"type": "regex", "regex": "[a-z ]{2000}"},
    "reasoning_effort": "none",
    "stream": True,
}


def text_of(lines: list[str]) -> str:
    data = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    return "".join(one["choices"][0]["delta"].get("content", "") for one in data if one.get("choices"))


def test_a_running_answer_gets_its_grace_time_and_the_program_ends_well() -> None:
    with ServerProcess(["--grace", "60"]) as server:
        lines: list[str] = []
        has_begun = threading.Event()

        def read() -> None:
            with httpx.stream("POST", f"{server.url}/v1/chat/completions", json=LONG, timeout=60) as stream:
                for line in stream.iter_lines():
                    lines.append(line)
                    if "content" in line:
                        has_begun.set()

        reader = threading.Thread(target=read)
        reader.start()
        assert has_begun.wait(30)
        assert server.stop(timeout_s=60) == 0
        reader.join(10)
    assert "data: [DONE]" in lines
    assert text_of(lines)


def test_an_answer_that_takes_longer_is_ended() -> None:
    with ServerProcess(["--grace", "1"]) as server:
        endless = {**LONG, "max_tokens": 1900}
        with httpx.stream("POST", f"{server.url}/v1/chat/completions", json=endless, timeout=60) as stream:
            lines = stream.iter_lines()
            next(lines)
            started = time.monotonic()
            server.process.terminate()
            with pytest.raises(httpx.HTTPError):  # the stream breaks off
                for _ in lines:
                    pass
            assert server.process.wait(30) == 0
            assert time.monotonic() - started < 15


def test_the_log_has_a_line_for_each_request_and_no_content() -> None:
    with ServerProcess() as server:
        body = {"messages": [{"role": "user", "content": "my secret question"}], "max_tokens": 3}
        httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60)
        httpx.post(f"{server.url}/v1/chat/completions", json={**body, "stop": "secret" * 99 and [""]}, timeout=60)
        assert server.stop() == 0
    lines = [json.loads(line) for line in server.log if line.startswith("{")]
    asked = [line for line in lines if line["event"] == "request"]
    assert [line["status"] for line in asked] == [200, 400]
    assert asked[0]["model"] == "demo"
    assert asked[0]["completion_tokens"] == 3
    assert "secret" not in "".join(server.log)


def test_the_log_has_content_when_it_was_asked_for() -> None:
    with ServerProcess(["--log-content"]) as server:
        body = {"messages": [{"role": "user", "content": "my own question"}], "max_tokens": 30, "temperature": 0}
        reply = httpx.post(f"{server.url}/v1/chat/completions", json={**body, "reasoning_effort": "none"}, timeout=60)
        assert server.stop() == 0
    line = next(json.loads(line) for line in server.log if "my own question" in line)
    assert line["answers"] == [reply.json()["choices"][0]["message"]["content"]]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--host", "0.0.0.0"], 2, "--api-key"),
        (["--port", "99999"], 2, "--port"),
        (["--models-dir", "/none"], 2, "--models-dir"),
        (["--alias", "a"], 2, "--alias"),
        (["--model", "/none/such"], 1, "no such folder"),
        (["--nothing"], 2, "--nothing"),
    ],
)
def test_a_wrong_command_line_is_one_line(arguments: list[str], code: int, message: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edge.server", "--port", "0", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
