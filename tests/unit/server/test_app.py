from __future__ import annotations

import base64
import io

import pytest
from PIL import Image

from tests.unit.server.conftest import Caller


def data_url(color: str = "red", size: tuple[int, int] = (64, 48)) -> str:
    file = io.BytesIO()
    Image.new("RGB", size, color).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def test_health_says_what_is_loaded(caller: Caller) -> None:
    reply = caller.get("/health")
    assert reply.status == 200
    assert reply.json["status"] == "ok"
    assert reply.json["loaded"] == ["demo"]


def test_models_are_listed(caller: Caller) -> None:
    assert caller.get("/v1/models").json["data"][0]["id"] == "demo"


def test_a_stream_joins_to_the_whole_answer(caller: Caller) -> None:
    whole = caller.chat().json
    events = caller.chat(stream=True, stream_options={"include_usage": True}).events
    text = "".join(event["choices"][0]["delta"].get("content", "") for event in events[:-2])
    assert text == whole["choices"][0]["message"]["content"]
    assert events[-1] == "[DONE]"
    assert events[-2]["usage"]["completion_tokens"] == whole["usage"]["completion_tokens"]
    assert events[-3]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]


def test_a_picture_counts_in_the_prompt(caller: Caller) -> None:
    part = {"type": "image_url", "image_url": {"url": data_url()}}
    message = {"role": "user", "content": [part, {"type": "text", "text": "Hi"}]}
    plain = caller.chat().json["usage"]["prompt_tokens"]
    assert caller.chat(messages=[message]).json["usage"]["prompt_tokens"] > plain + 4


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("/chat/completions", "It is /v1/chat/completions: the client's base address should end in /v1."),
        ("/v1/v1/messages", "It is /v1/messages: the client's base address should end before /v1."),
        ("/v1/chat/completion", "Did you mean /v1/chat/completions?"),
        ("/v1/moderations", "See /openapi.json."),
    ],
)
def test_a_wrong_path_is_told_the_right_one(caller: Caller, path: str, advice: str) -> None:
    reply = caller.post(path, {})
    assert (reply.status, reply.json["error"]["message"]) == (404, f"There is no such path. {advice}")


def test_a_wrong_method_is_told_the_right_one(caller: Caller) -> None:
    reply = caller.get("/v1/chat/completions")
    assert (reply.status, reply.json["error"]["message"]) == (405, "This path takes POST, found GET.")


def test_an_unknown_path_has_an_error_of_the_protocol(caller: Caller) -> None:
    reply = caller.get("/v1/nothing")
    assert (reply.status, reply.json["error"]["type"]) == (404, "not_found_error")


@pytest.mark.parametrize(
    ("method", "path", "allowed"), [("GET", "/v1/messages", "POST"), ("PUT", "/health", "GET, HEAD")]
)
def test_another_method_is_told_which_are_taken(caller: Caller, method: str, path: str, allowed: str) -> None:
    reply = caller.send(method, path)
    assert (reply.status, reply.headers["allow"]) == (405, allowed)
