from __future__ import annotations

from typing import Any

import pytest

from edge.server.arguments import ServerLimits
from edge.server.errors import ApiError
from edge.server.ollama.request import OllamaRequest, read_chat, read_generate


def chat(**body: Any) -> OllamaRequest:
    return read_chat({"model": "m", **body}, limits=ServerLimits())


def generate(**body: Any) -> OllamaRequest:
    return read_generate({"model": "m", **body}, limits=ServerLimits())


def test_what_the_official_client_always_sends_is_taken() -> None:
    request = chat(messages=[{"role": "user", "content": "x"}], stream=False, tools=[], options={}, format="")
    assert (request.is_stream, request.schema, request.tools.declared, request.ignored) == (False, None, (), ())


def test_a_stream_is_the_default() -> None:
    assert chat().is_stream
    assert generate().is_stream


def test_a_request_without_a_question_loads() -> None:
    assert chat(messages=[]).is_load
    assert generate(prompt="", keep_alive="0s").is_load
    assert not generate(images=["AAAA"]).is_load


def test_a_prompt_becomes_messages_with_pictures_first() -> None:
    assert generate(prompt="x", system="s", images=["AAAA"]).messages == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "image", "image": "data:;base64,AAAA"}, {"type": "text", "text": "x"}]},
    ]


def test_a_raw_prompt_goes_around_the_template() -> None:
    request = generate(prompt="x", raw=True)
    assert (request.raw_prompt, request.messages) == ("x", [])


def test_a_last_message_of_the_assistant_is_gone_on_with_without_a_thought() -> None:
    messages = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "It"}]
    request = chat(messages=messages, think=True)
    assert (request.continues_last, request.ignored) == (True, ("think",))
    assert not chat(messages=messages[:1]).continues_last


@pytest.mark.parametrize("form", ["json", {"type": "object"}])
def test_a_format_is_json_or_a_schema(form: Any) -> None:
    assert chat(format=form).schema == form


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"format": "xml"}, 'format: expected "json" or a JSON Schema'),
        ({"format": [1]}, "format: expected"),
        ({"suffix": "x"}, "suffix: expected none; this model does not insert"),
        ({"template": "x"}, "template: expected none"),
        ({"raw": True, "images": ["AAAA"]}, "images: expected none beside raw"),
        ({"raw": True, "system": "s"}, "system: expected none beside raw"),
        ({"top_logprobs": 21}, "top_logprobs: expected 0 to 20"),
        ({"stream": "yes"}, "stream: expected true or false"),
        ({"prompt": 3}, "prompt: expected text"),
        ({"options": []}, "options: expected an object"),
    ],
)
def test_what_cannot_be_done_is_refused(body: dict[str, Any], expected: str) -> None:
    with pytest.raises(ApiError, match=expected) as caught:
        generate(**body)
    assert caught.value.status == 400


def test_what_has_no_effect_is_named() -> None:
    request = generate(prompt="x", context=[1], truncate=True, options={"num_ctx": 5}, tools=[])
    assert set(request.ignored) == {"context", "truncate", "options.num_ctx", "tools"}


def test_logprobs_are_sent_when_asked_for() -> None:
    assert chat().top_logprobs is None
    assert chat(logprobs=True).top_logprobs == 0
    assert chat(logprobs=True, top_logprobs=3).top_logprobs == 3
