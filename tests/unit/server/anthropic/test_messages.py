from __future__ import annotations

from typing import Any

import pytest

from edge.server.anthropic.messages import to_messages
from edge.server.errors import ApiError

PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
PNG_PART = {"type": "image", "image": "data:image/png;base64,AAAA"}


def test_a_tool_loop_with_pictures_in_the_results_is_rewritten() -> None:
    ignored: list[str] = []
    messages = [
        {"role": "user", "content": [PNG, {"type": "text", "text": "look", "cache_control": {"type": "ephemeral"}}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "of another server"},
                {"type": "redacted_thinking", "data": "xx"},
                {"type": "text", "text": "I see."},
                {"type": "tool_use", "id": "t1", "name": "zoom", "input": {"ö": 1}},
                {"type": "tool_use", "id": "t2", "name": "zoom", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": [PNG, {"type": "text", "text": "here"}]},
                {"type": "tool_result", "tool_use_id": "t2", "content": "no zoom", "is_error": True},
                {"type": "text", "text": "so?"},
            ],
        },
    ]
    assert to_messages("be brief", messages, ignored=ignored) == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [PNG_PART, {"type": "text", "text": "look"}]},
        {
            "role": "assistant",
            "content": "I see.",
            "reasoning_content": "hm",
            "tool_calls": [
                {"id": "t1", "type": "function", "function": {"name": "zoom", "arguments": '{"ö": 1}'}},
                {"id": "t2", "type": "function", "function": {"name": "zoom", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "t1", "content": [PNG_PART, {"type": "text", "text": "here"}], "name": "zoom"},
        {"role": "tool", "tool_call_id": "t2", "content": "Error: no zoom", "name": "zoom"},
        {"role": "user", "content": [{"type": "text", "text": "so?"}]},
    ]
    assert ignored == ["messages[1].content[1] (redacted_thinking)"]


def test_the_line_that_changes_with_every_request_is_left_out_of_the_system_text_only() -> None:
    line = "x-anthropic-billing-header: cc_version=2; cch=1;"
    system = [{"type": "text", "text": line}, {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    found = to_messages(system, [{"role": "user", "content": line}], ignored=[])
    assert found[0] == {"role": "system", "content": "a\n\nb"}
    assert found[1]["content"] == [{"type": "text", "text": line}]


def test_documents_become_text_or_files() -> None:
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}
    text = {"type": "text", "media_type": "text/plain", "data": "words"}
    blocks = [
        {"type": "document", "source": pdf, "title": "a.pdf", "citations": {"enabled": True}},
        {"type": "document", "source": text},
        {"type": "document", "source": {"type": "content", "content": [PNG]}},
        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
    ]
    ignored: list[str] = []
    (message,) = to_messages(None, [{"role": "user", "content": blocks}], ignored=ignored)
    assert message["content"] == [
        {"type": "text", "text": "a.pdf\n"},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}},
        {"type": "text", "text": "words"},
        PNG_PART,
        {"type": "image", "image": "https://x/y.png"},
    ]
    assert ignored == ["messages[0].content[0].citations"]


def user(*blocks: Any) -> list[Any]:
    return [{"role": "user", "content": list(blocks)}]


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([], "messages: expected a list with at least one"),
        ("x", "messages: expected a list"),
        ([1], r"messages\[0\]: expected an object"),
        ([{"role": "bot", "content": "x"}], r"messages\[0\].role: expected user or assistant"),
        ([{"role": "user", "content": 3}], r"messages\[0\].content: expected text or a list"),
        (user(1), r"content\[0\]: expected an object with a type"),
        (user({"type": "audio"}), r"content\[0\]: expected a block of type text, image, video, document"),
        (user({"type": "video"}), r"content\[0\].source: expected type base64"),
        (user({"type": "text"}), r"content\[0\].text: expected text"),
        (user({"type": "image"}), r"source: expected type base64"),
        (user({"type": "image", "source": {"type": "file", "file_id": "f"}}), "uploaded files are not kept"),
        (
            user({"type": "image", "source": {"type": "base64", "data": "Data:image/png;base64,AA"}}),
            r"source.data: expected base64 alone, found a data URL",
        ),
        (user({"type": "tool_result"}), "tool_use_id: expected the id"),
        ([{"role": "assistant", "content": [PNG]}], "an answer holds text, thinking and tool_use"),
        ([{"role": "assistant", "content": [{"type": "tool_use", "id": "a"}]}], "tool_use needs id, name and input"),
    ],
)
def test_another_shape_is_refused(messages: Any, expected: str) -> None:
    with pytest.raises(ApiError, match=expected) as caught:
        to_messages(None, messages, ignored=[])
    assert caught.value.status == 400


def test_keys_of_blocks_that_change_nothing_are_named() -> None:
    result = {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "x", "color": "red"}]}
    blocks = [{"type": "text", "text": "y", "cache_control": {}, "future": 1, "none": None}, result]
    ignored: list[str] = []
    to_messages(None, [{"role": "user", "content": blocks}], ignored=ignored)
    assert ignored == ["messages[0].content[0].future", "messages[0].content[1].content[0].color"]


def test_what_anthropics_own_servers_did_is_left_out_and_named() -> None:
    said = [
        {"type": "text", "text": "I look. "},
        *({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}, {"type": "fallback"}),
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
        {"type": "mcp_tool_use", "id": "m", "name": "x", "server_name": "y", "input": {}},
        {"type": "compaction", "content": "Before: much."},
    ]
    ignored: list[str] = []
    messages = [*user({"type": "text", "text": "q"}), {"role": "assistant", "content": said}, *user()]
    assert to_messages(None, messages, ignored=ignored)[1] == {"role": "assistant", "content": "I look. Before: much."}
    assert [name.split("(")[1] for name in ignored if "(" in name] == [
        *("server_tool_use)", "fallback)", "web_search_tool_result)", "mcp_tool_use)"),
    ]


def test_pages_that_were_found_are_text_in_questions_and_results() -> None:
    page = {"type": "search_result", "source": "https://x/y", "title": "T", "content": [{"type": "text", "text": "w"}]}
    result = {
        "type": "tool_result",
        "tool_use_id": "a",
        "content": [page, {"type": "tool_reference", "tool_name": "f"}],
    }
    ignored: list[str] = []
    asked = to_messages(None, user({**page, "citations": {"enabled": True}}, result), ignored=ignored)
    shown = {"type": "text", "text": "T\nhttps://x/y\nw\n"}
    assert [message["content"] for message in asked] == [[shown], f"{shown['text']}f"]
    assert ignored == ["messages[0].content[0].citations"]
