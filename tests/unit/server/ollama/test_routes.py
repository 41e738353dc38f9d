from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.server.conftest import Caller

QUESTION = {"model": "demo", "messages": [{"role": "user", "content": "Hi"}], "options": {"num_predict": 4}}


def lines(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in body.splitlines()]


def test_a_stream_of_lines_is_the_default(caller: Caller) -> None:
    reply = caller.post("/api/chat", QUESTION)
    assert reply.headers["content-type"] == "application/x-ndjson"
    assert [line["done"] for line in lines(reply.body)][-2:] == [False, True]


def test_what_has_no_effect_is_said(caller: Caller) -> None:
    reply = caller.post("/api/chat", {**QUESTION, "stream": False, "options": {"num_predict": 1, "num_ctx": 64}})
    assert reply.headers["x-ignored-fields"] == "options.num_ctx"


def test_loading_and_unloading_are_one_line(caller: Caller) -> None:
    assert [line["done_reason"] for line in lines(caller.post("/api/generate", {"model": "demo"}).body)] == ["load"]
    unload = caller.post("/api/generate", {"model": "demo", "keep_alive": 0, "stream": False})
    assert unload.json["done_reason"] == "unload"
    assert caller.get("/api/ps").json == {"models": []}
    caller.post("/api/generate", {"model": "demo", "keep_alive": -1})
    assert [one["name"] for one in caller.get("/api/ps").json["models"]] == ["demo:latest"]


def test_the_old_key_names_a_model_too(caller: Caller) -> None:
    assert caller.post("/api/show", {"name": "demo:latest"}).json["capabilities"][-1] == "thinking"


def test_a_raw_prompt_is_continued(caller: Caller) -> None:
    body = {"model": "demo", "prompt": "I see a red", "raw": True, "stream": False, "options": {"num_predict": 3}}
    assert caller.post("/api/generate", body).json["response"]


def test_programs_find_a_version_and_a_sign_of_life(caller: Caller) -> None:
    assert caller.get("/api/version").json["version"].count(".") == 2
    assert caller.get("/").body == b"Ollama is running"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/chat", {"model": "nope"}, 404),
        ("/api/chat", {"model": "demo", "messages": 3}, 400),
        ("/api/show", {}, 400),
        ("/api/pull", {"model": "nope"}, 404),
        ("/api/create", {"model": "x"}, 403),
        ("/api/embed", {"model": "demo", "input": "x"}, 501),
        ("/api/nothing", {}, 404),
    ],
)
def test_errors_are_one_text(caller: Caller, path: str, body: Any, status: int) -> None:
    reply = caller.post(path, body)
    assert reply.status == status
    assert isinstance(reply.json["error"], str)
