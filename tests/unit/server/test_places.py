from __future__ import annotations

from typing import Any

import pytest

from edge.server.errors import ApiError
from edge.server.places import in_places, joined_places
from tests.unit.prompt.media.test_pdf import pdf_url
from tests.unit.server.conftest import Caller

Json = Any
SYSTEM, USER = {"role": "system", "content": "s"}, {"role": "user", "content": "Hi"}
ELSEWHERE = "http://127.0.0.1/a.png"
ODD = {
    "role": "user",
    "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": ELSEWHERE}}],
}
BROKEN = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
TOOL: Json = {"name": "f", "input_schema": {"type": "object"}}
REMOTE_BLOCK = {"type": "image", "source": {"type": "url", "url": ELSEWHERE}}
CALLS = {
    "role": "assistant",
    "tool_calls": [{"id": one, "type": "function", "function": {"name": "f", "arguments": "{}"}} for one in "ab"],
}
RESULT_A = {"role": "tool", "tool_call_id": "a", "content": [BROKEN]}
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
)
PICTURE = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PIXEL}, "max_pixel": 9}]}
PDF = {"type": "file", "file": {"file_data": pdf_url(pages=3), "filename": "a.pdf"}}
PDF_SOURCE = {"type": "base64", "media_type": "application/pdf", "data": pdf_url(pages=3).partition(",")[2]}
USE = {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]}
RESULT_B = {"role": "tool", "tool_call_id": "b", "content": "b"}


def asking(*parts: Json) -> list[Json]:
    return [{"role": "user", "content": list(parts)}]


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([USER, SYSTEM], ("0", "1")),
        ([SYSTEM, USER], ("0", "1")),
        ([SYSTEM, SYSTEM, SYSTEM, USER, SYSTEM], ("0", "3", "4")),
        ([], ()),
    ],
)
def test_joined_messages_stand_where_the_first_does(messages: list[Json], expected: tuple[str, ...]) -> None:
    assert joined_places(messages, [str(place) for place in range(len(messages))]) == expected


def test_what_an_error_tells_beside_its_text_is_kept() -> None:
    given = ApiError("invalid_request", "messages[0]: no", status=405, code="c", retry_s=3, allow="GET, POST")
    told = in_places(given, ("system",))
    fields = ("kind", "status", "param", "code", "retry_s", "allow")
    assert [getattr(told, one) for one in fields] == [getattr(given, one) for one in fields]


def test_a_text_without_a_place_gets_that_of_its_param() -> None:
    told = in_places(ApiError("invalid_request", "image 1: no picture", param="messages[1]"), ("system", "messages[0]"))
    assert (str(told), told.param) == ("messages[0]: image 1: no picture", "messages[0]")


def test_an_error_names_what_was_sent_and_keeps_the_rest() -> None:
    error = ApiError("invalid_request", "messages[1].content: no", param="messages[1].content", code="c", retry_s=3)
    told = in_places(error, ("system", "input[4]"))
    assert (str(told), told.param) == ("input[4].content: no", "input[4].content")
    assert (told.kind, told.status, told.code, told.retry_s) == (error.kind, 400, "c", 3)
    for other in (ApiError("internal", "no messages[1]"), ApiError("internal", "messages[7]: no")):
        assert in_places(other, ("a", "b")) is other


def test_other_fields_that_a_text_names_have_the_clients_names_too() -> None:
    names = {"max_tokens": "max_output_tokens", "thinking_budget": "reasoning.max_tokens", "stop": "no"}
    error = ApiError("invalid_request", "thinking_budget: stop below max_tokens", param="thinking_budget")
    told = in_places(error, (), names)
    assert (str(told), told.param) == ("reasoning.max_tokens: stop below max_output_tokens", "reasoning.max_tokens")


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/chat/completions", {"messages": [USER], "max_completion_tokens": 90_000}, "max_completion_tokens"),
        ("/v1/completions", {"prompt": "Hi", "max_tokens": 90_000}, "max_tokens"),
        ("/v1/responses", {"input": "Hi", "max_output_tokens": 90_000}, "max_output_tokens"),
    ],
)
def test_an_answer_that_may_not_fit_is_no_prompt_that_is_too_long(
    caller: Caller, path: str, body: Json, param: str
) -> None:
    error = caller.post(path, body).json["error"]
    assert (error["param"], error["code"]) == (param, "context_length_exceeded")
    assert f"or {param}." in error["message"]
    assert "too long" not in error["message"]


LONG = "word " * 9000


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": LONG}]}),
        ("/v1/completions", {"prompt": LONG}),
        ("/v1/responses", {"input": LONG}),
        ("/v1/messages", {"max_tokens": 9, "messages": [{"role": "user", "content": LONG}]}),
        ("/api/chat", {"messages": [{"role": "user", "content": LONG}]}),
        ("/api/generate", {"prompt": LONG}),
    ],
)
def test_a_long_prompt_is_refused_in_the_words_that_programs_shorten_after(
    caller: Caller, path: str, body: Json, is_stream: bool
) -> None:
    reply = caller.post(path, {**body, "stream": is_stream})
    error = reply.json["error"]
    message = error if isinstance(error, str) else error["message"]
    assert (reply.status, message[:20]) == (400, "Prompt is too long: ")


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        ("/v1/chat/completions", {"messages": [SYSTEM, SYSTEM, USER, ODD]}, "messages[3].content[1]"),
        ("/v1/chat/completions/input_tokens", {"messages": [SYSTEM, SYSTEM, ODD]}, "messages[2].content[1]"),
        ("/v1/chat/completions", {"messages": [SYSTEM, SYSTEM, {**USER, "odd": 1}]}, "messages[2]: unknown key odd"),
        ("/api/chat", {"messages": [SYSTEM, SYSTEM, {"role": "odd"}, USER]}, "messages[2]: the role"),
        ("/api/generate", {"prompt": "\ud800", "system": "s"}, "prompt: the text"),
        ("/v1/responses", {"input": [USER, ODD], "instructions": "s"}, "input[1].content[1]"),
        ("/v1/responses", {"input": [SYSTEM, USER, {"role": "odd", "content": ""}]}, "input[2]: the role"),
        (
            "/v1/messages",
            {"system": "s", "messages": [USER, {"role": "user", "content": [
                {"type": "image", "source": {"type": "url", "url": ELSEWHERE}}]}]},
            "messages[1].content[0]",
        ),
        ("/v1/chat/completions", {"messages": [USER, CALLS, RESULT_B, RESULT_A]}, "messages[3].content[0]: image 1: "),
        ("/v1/chat/completions", {"messages": [USER, CALLS, {**RESULT_B, "odd": 1}, RESULT_A]}, "messages[2]: unknown"),
        (
            "/v1/responses",
            {"input": [
                {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
                {"type": "function_call", "call_id": "b", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "b", "output": "b"},
                {"type": "function_call_output", "call_id": "a", "output": [BROKEN]}]},
            "input[3].output[0]: image 1: ",
        ),
        (
            "/v1/messages",
            {"system": "s", "messages": [
                {"role": "assistant", "content": [
                    {"type": "tool_use", "id": one, "name": "f", "input": {}} for one in ("a", "b")]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "b", "content": "b"},
                    {"type": "tool_result", "tool_use_id": "a", "content": [
                        {"type": "image", "source": {"type": "base64", "data": "AAAA"}}]}]}]},
            "messages[1].content[1].content[0]: image 1: ",
        ),
        (
            "/v1/messages",
            {"system": "s", "messages": [USE, {"role": "user", "content": [
                {"type": "text", "text": "x"},
                {"type": "tool_result", "tool_use_id": "a", "content": [REMOTE_BLOCK]}]}]},
            "messages[1].content[1].content[0]: addresses",
        ),
        (
            "/v1/messages",
            {"messages": [SYSTEM, SYSTEM, USE, {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": "x"},
                {"type": "text", "text": "x"},
                REMOTE_BLOCK]}]},
            "messages[3].content[2]: addresses",
        ),
        (
            "/v1/responses",
            {"instructions": "s", "input": [
                {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "a", "output": [
                    {"type": "input_text", "text": "x"},
                    {"type": "input_image", "image_url": ELSEWHERE}]}]},
            "input[1].output[1]: addresses",
        ),
        ("/api/chat", {"messages": [SYSTEM, SYSTEM, {**USER, "images": ["AAAA"]}]}, "messages[2].images[0]: image 1: "),
        ("/api/generate", {"prompt": "x", "images": [PIXEL, "AAAA"]}, "images[1]: image 2: "),
        ("/api/generate", {"prompt": "x", "images": ["!"], "system": "s"}, "images[0]: image 1: "),
        ("/api/generate", {"prompt": "x", "images": [PIXEL, "HTTP://a/"]}, "images[1]: expected a picture in base64"),
        ("/v1/chat/completions", {"messages": asking(PDF, PDF, BROKEN)}, "messages[0].content[2]: image 7: "),
        ("/v1/chat/completions", {"messages": asking(PDF, {"type": "text", "text": 5})}, "messages[0].content[1]: tex"),
        ("/v1/chat/completions", {"messages": asking(PDF, {"type": "odd"})}, "messages[0].content[1]: the type"),
        ("/v1/chat/completions", {"messages": [SYSTEM, SYSTEM, *asking(PDF, BROKEN)]}, "messages[2].content[1]: image"),
        ("/v1/responses", {"input": asking(PDF, PDF, BROKEN)}, "input[0].content[2]: image 7: "),
        (
            "/v1/messages",
            {"system": "s", "messages": [{"role": "user", "content": [
                {"type": "document", "title": "T", "source": PDF_SOURCE},
                {"type": "image", "source": {"type": "base64", "data": "AAAA"}}]}]},
            "messages[0].content[1]: image 4: ",
        ),
        (
            "/v1/messages",
            {"messages": asking({"type": "document", "source": {"type": "content", "content": [
                {"type": "text", "text": "x"},
                {"type": "image", "source": {"type": "base64", "data": "AAAA"}}]}})},
            "messages[0].content[0].source.content[1]: image 1: ",
        ),
        (
            "/v1/responses",
            {"input": asking({"type": "input_image", "file_id": "x"})},
            "input[0].content[0]: uploaded files (file_id) are not kept here; send a data URL as image_url",
        ),
    ],
)  # fmt: skip
def test_refusals_of_all_protocols_name_the_clients_own_places(
    caller: Caller, path: str, body: Json, place: str
) -> None:
    reply = caller.post(path, {"max_tokens": 4, **body} if path == "/v1/messages" else body)
    assert reply.status == 400
    error = reply.json["error"]
    assert (error if path.startswith("/api/") else error["message"]).startswith(place)
    assert "param" not in error or (error["param"] and place.startswith(error["param"]))


BAD_SCHEMA: Json = {"type": "json_schema", "json_schema": {"schema": {"type": "nothing"}}}
BAD_REGEX = {"type": "regex", "regex": "("}
LONG = "word " * 9000


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/chat/completions", {"response_format": BAD_SCHEMA}, "response_format.json_schema.schema"),
        ("/v1/chat/completions", {"response_format": BAD_REGEX}, "response_format.regex"),
        ("/v1/chat/completions", {"repeat_penalty": 0}, "repeat_penalty"),
        ("/v1/chat/completions", {"repetition_penalty": 0}, "repetition_penalty"),
        ("/v1/chat/completions", {"max_tokens": 60, "reasoning": {"max_tokens": 60}}, "reasoning.max_tokens"),
        ("/v1/chat/completions", {"max_tokens": 60, "thinking": {"budget_tokens": 70}}, "thinking.budget_tokens"),
        ("/v1/chat/completions", {"max_tokens": 60, "reasoning_budget": 70}, "reasoning_budget"),
        ("/v1/chat/completions", {"max_tokens": 0}, "max_tokens"),
        ("/v1/chat/completions", {"max_tokens": 9, "max_completion_tokens": 10**9}, "max_completion_tokens"),
        ("/v1/chat/completions", {"max_tokens": 10**9}, "max_tokens"),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": LONG}]}, "messages"),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": None}]}, "messages"),
        ("/v1/chat/completions", {"messages": [None]}, "messages[0]"),
        ("/v1/chat/completions", {"mm_processor_kwargs": {"max_pixels": -4}}, "mm_processor_kwargs.max_pixels"),
        ("/v1/chat/completions", {"mm_processor_kwargs": {"fps": "x"}}, "mm_processor_kwargs.fps"),
        ("/v1/chat/completions", {"continue_final_message": True}, "messages[0]"),
        ("/v1/chat/completions", {"add_generation_prompt": False}, "add_generation_prompt"),
        ("/v1/chat/completions/input_tokens", {"messages": [{"role": "user", "content": ""}]}, "messages"),
        ("/v1/responses", {"text": {"format": {**BAD_SCHEMA, **BAD_SCHEMA["json_schema"]}}}, "text.format.schema"),
        ("/v1/responses", {"max_output_tokens": 10**9}, "max_output_tokens"),
        ("/v1/responses", {"input": LONG}, "input"),
        ("/v1/completions", {"prompt": "\ud800"}, "prompt"),
        ("/v1/completions", {"prompt": "<|image_pad|>"}, "prompt"),
        ("/v1/completions", {"response_format": BAD_REGEX}, "response_format.regex"),
        ("/v1/completions", {"prompt": ["a"] * 9}, "n"),
    ],
)
def test_a_refusal_names_the_field_that_the_client_wrote(caller: Caller, path: str, body: Json, param: str) -> None:
    least = {"/v1/responses": {"input": "Hi"}, "/v1/completions": {"prompt": "Hi"}}.get(path, {"messages": [USER]})
    reply = caller.post(path, {**least, **body})
    assert (reply.status, reply.json["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    ("path", "body", "start"),
    [
        ("/v1/messages", {"output_config": {"format": BAD_SCHEMA | BAD_SCHEMA["json_schema"]}}, "output_config.format"),
        ("/v1/messages", {"output_format": BAD_SCHEMA | BAD_SCHEMA["json_schema"]}, "output_format.schema"),
        ("/v1/messages", {"tools": [TOOL], "tool_choice": {"name": "f"}}, "tool_choice.type"),
        (
            "/v1/messages",
            {"messages": [{"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": "x", "is_error": "yes"}]}]},
            "messages[0].content[0].is_error",
        ),
        ("/api/chat", {"format": {"type": "nothing"}}, "format"),
        ("/api/generate", {"prompt": "Hi", "format": {"type": "nothing"}}, "format"),
    ],
)  # fmt: skip
def test_protocols_without_a_field_for_it_say_so_in_words(caller: Caller, path: str, body: Json, start: str) -> None:
    reply = caller.post(path, {"max_tokens": 9, "messages": [USER], **body})
    error = reply.json["error"]
    assert (reply.status, (error if path.startswith("/api/") else error["message"]).startswith(start)) == (400, True)


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/v1/chat/completions", {"messages": [PICTURE]}, "messages[0].content[0].max_pixel"),
        ("/v1/chat/completions", {"response_format": {"type": "text", "schema": {}}}, "response_format.schema"),
        ("/v1/messages", {"tools": [{**TOOL, "parameters": {}}]}, "tools[0].parameters"),
        ("/v1/messages", {"tools": [TOOL], "tool_choice": {"type": "auto", "parallel": 1}}, "tool_choice.parallel"),
        ("/v1/responses", {"input": "Hi", "include": ["odd"]}, "include=odd"),
        ("/api/generate", {"prompt": "Hi", "raw": True, "think": True, "messages": None, "stream": False}, "think"),
    ],
)
def test_what_has_no_effect_is_named(caller: Caller, path: str, body: Json, named: str) -> None:
    few: Json = {"max_output_tokens": 2} if path == "/v1/responses" else {"max_tokens": 2}
    few = {"options": {"num_predict": 2}} if path.startswith("/api/") else few
    messages = {} if path == "/v1/responses" else {"messages": [USER]}
    reply = caller.post(path, {**few, **messages, **body})
    assert (reply.status, reply.headers.get("x-ignored-fields")) == (200, named)
