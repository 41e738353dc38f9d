from __future__ import annotations

from typing import Any

import pytest

from edge.errors import PromptError
from edge.prompt.text.messages import NormalMessages, normalise_messages, normalise_tools
from edge.prompt.text.shield import Shield

SPECIALS = ["<|im_end|>", "<|image_pad|>"]


def normalise(*messages: Any) -> NormalMessages:  # Any: JSON, right and wrong
    return normalise_messages(list(messages), shield=Shield(SPECIALS, messages))


def test_null_content_becomes_empty_text() -> None:
    call = {"type": "function", "function": {"name": "f", "arguments": {"a": 1}}}
    normal = normalise({"role": "user", "content": "hi"}, {"role": "assistant", "content": None, "tool_calls": [call]})
    assert normal.messages[1] == {"role": "assistant", "content": "", "tool_calls": [call]}


def test_video_urls_are_not_dropped() -> None:
    content = [
        {"type": "video_url", "video_url": {"url": "v.mp4", "fps": 1}},
        {"type": "image_url", "image_url": {"url": "a.png", "detail": "high"}},
        {"type": "input_image", "image_url": "b.png"},
        {"video": "w.mp4", "max_frames": 8},
        {"type": "text", "text": "?"},
    ]
    with_types = normalise({"role": "user", "content": content[:2] + content[3:]})
    assert [item["type"] for item in with_types.messages[0]["content"]] == ["video", "image", "video", "text"]
    assert [(item.kind, item.source) for item in with_types.media] == [
        ("video", "v.mp4"),
        ("image", "a.png"),
        ("video", "w.mp4"),
    ]
    assert [dict(item.options) for item in with_types.media] == [{"fps": 1}, {}, {"max_frames": 8}]
    assert [item.label for item in with_types.media] == ["video 1", "image 1", "video 2"]


def test_input_image_is_the_responses_spelling_of_an_image() -> None:
    normal = normalise({"role": "user", "content": [{"type": "input_image", "image_url": "b.png"}]})
    assert normal.media[0].source == "b.png"


def test_developer_messages_are_system_messages() -> None:
    normal = normalise({"role": "developer", "content": "S"}, {"role": "user", "content": "x"})
    assert normal.messages[0]["role"] == "system"


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
@pytest.mark.parametrize("thought", ["r", ""])
def test_every_name_of_reasoning_is_kept(key: str, thought: str) -> None:
    normal = normalise({"role": "user", "content": "x"}, {"role": "assistant", "content": "y", key: thought})
    assert normal.messages[1]["reasoning_content"] == thought


def test_of_two_names_the_one_with_a_thought_counts() -> None:
    message = {"role": "assistant", "content": "y", "reasoning_content": "", "reasoning": "r", "thinking": None}
    assert normalise(message).messages[0]["reasoning_content"] == "r"
    assert "reasoning_content" not in normalise({"role": "assistant", "content": "y", "reasoning": None}).messages[0]


def test_fields_without_a_value_say_nothing() -> None:
    dumped = {"content": "a", "refusal": None, "role": "assistant", "annotations": None, "audio": None}
    dumped |= {"function_call": None, "tool_calls": None, "reasoning_content": None, "name": None}
    item = {"type": "text", "text": "b", "image_url": None, "file": None, "cache_control": {"type": "ephemeral"}}
    picture = {"type": "image_url", "image_url": {"url": "p.png", "detail": None, "format": None}, "text": None}
    normal = normalise(dumped, {"role": "user", "content": [item, picture]})
    assert normal.messages[0] == {"role": "assistant", "content": "a"}
    assert normal.messages[1]["content"] == [{"type": "text", "text": "b"}, {"type": "image"}]
    assert dict(normal.media[0].options) == {}


def test_a_refusal_is_what_the_assistant_said() -> None:
    part = {"type": "refusal", "refusal": "No."}
    normal = normalise(
        {"role": "assistant", "content": None, "refusal": "No."}, {"role": "assistant", "content": [part]}
    )
    assert [message["content"] for message in normal.messages] == ["No.", [{"type": "text", "text": "No."}]]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"role": "robot", "content": "x"}, "role should be one of"),
        ({"content": "x"}, "role should be one of"),
        ({"role": "user", "content": 7}, "content should be text or a list"),
        ({"role": "user", "content": b"x"}, "content should be text or a list"),
        ({"role": "user", "content": {"text": "x"}}, "content should be text or a list"),
        ({"role": "user", "content": ["x"]}, "expected an object with a type"),
        ({"role": "user", "content": [{"type": "text", "text": None}]}, "text should be a string"),
        ({"role": "user", "content": [{"type": "audio", "audio": "a.wav"}]}, "type should be one of"),
        ({"role": "user", "content": [{"type": "image"}]}, "expected one image"),
        ({"role": "user", "content": [{"type": "image", "image": "a", "image_url": "b"}]}, "expected one image"),
        ({"role": "user", "content": [{"type": "image", "image": "a", "fps": 2}]}, "unknown key fps"),
        ({"role": "user", "content": [{"type": "video", "video": "a", "nframes": 2}]}, "unknown key nframes"),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a", "detail": "low"}}]},
            "detail 'low' is not supported",
        ),
        ({"role": "user", "content": "x", "color": "red"}, "unknown key color"),
        ({"role": "user", "content": [{"type": "text", "text": "x", "color": "red"}]}, "unknown key color"),
        ({"role": "user", "content": [{"type": "image", "image": "a", "color": "red"}]}, "unknown key color"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a", "x": 1}}]}, "unknown key x"),
        ({"role": "assistant", "content": "x", "function_call": {"name": "f"}}, "unknown key function_call"),
        ({"role": "assistant", "content": "x", "audio": {"id": "a"}}, "unknown key audio"),
        ({"role": "assistant", "content": "x", "refusal": "y"}, "found both"),
        ({"role": "tool", "content": "x", "tool_call_id": 5}, "tool_call_id should be text"),
        ({"role": "assistant", "content": "x", "reasoning_content": 5}, "reasoning should be text"),
        ({"role": "assistant", "tool_calls": {"name": "f"}}, "expected a list"),
        ({"role": "assistant", "tool_calls": [{"function": {}}]}, "a function with a name"),
        ({"role": "assistant", "tool_calls": [{"name": "f", "arguments": 5}]}, "arguments should be a JSON object"),
        ("hello", "expected an object with role and content"),
        ({"role": "user", "content": "\ud800"}, "lone surrogate"),
    ],
)
def test_wrong_messages_are_named(message: Any, reason: str) -> None:
    with pytest.raises(PromptError, match=reason) as caught:
        normalise(message)
    assert str(caught.value).startswith("messages[0]")


@pytest.mark.parametrize("messages", [[], "hello", {"role": "user"}, None])
def test_messages_are_a_list(messages: Any) -> None:
    with pytest.raises(PromptError, match=r"should be a list|is empty"):
        normalise_messages(messages, shield=Shield(SPECIALS, messages))


@pytest.mark.parametrize("content", ["", None, [], [{"type": "text", "text": ""}]])
def test_an_empty_prompt_is_refused(content: Any) -> None:
    with pytest.raises(PromptError, match="prompt is empty"):
        normalise({"role": "user", "content": content})


def test_media_never_reach_the_template() -> None:
    source = object()
    normal = normalise({"role": "user", "content": [{"type": "image", "image": source}]})
    assert normal.messages == [{"role": "user", "content": [{"type": "image"}]}]
    assert normal.media[0].source is source


def test_special_tokens_of_users_are_shielded_everywhere() -> None:
    text = "a<|im_end|>b"
    call = {"name": text, "arguments": {text: [text]}}
    normal = normalise(
        {"role": "user", "content": [{"type": "text", "text": text}]},
        {"role": "assistant", "content": text, "reasoning_content": text, "tool_calls": [call]},
    )
    tools = normalise_tools([{"name": text}], shield=Shield(SPECIALS))
    assert "<|im_end|>" not in f"{normal.messages}{tools}"
    assert normal.last_user_text == text


def test_tools_are_objects() -> None:
    assert normalise_tools(None, shield=Shield(SPECIALS)) is None
    with pytest.raises(PromptError, match="list of JSON objects"):
        normalise_tools("f", shield=Shield(SPECIALS))  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(PromptError, match=r"tools\[0\]: expected JSON, found object"):
        normalise_tools([{"name": object()}], shield=Shield(SPECIALS))


@pytest.mark.parametrize("is_flat", [False, True])
def test_no_arguments_are_an_empty_object(is_flat: bool) -> None:
    function = {"name": "f", "arguments": ""}
    call = function if is_flat else {"type": "function", "function": function}
    said = {"role": "assistant", "content": None, "tool_calls": [call]}
    (written,) = normalise({"role": "user", "content": "hi"}, said).messages[1]["tool_calls"]
    assert written == (
        {**function, "arguments": "{}"} if is_flat else {**call, "function": {**function, "arguments": "{}"}}
    )
    assert function["arguments"] == ""
