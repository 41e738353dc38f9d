from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import PromptError
from edge.prompt.text.messages import SHIELD, NormalMessages, normalise_messages, normalise_tools, unshield

SPECIALS = ["<|im_end|>", "<|image_pad|>"]


def normalise(*messages: Any) -> NormalMessages:  # Any: JSON, right and wrong
    return normalise_messages(list(messages), special_tokens=SPECIALS)


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
def test_every_name_of_reasoning_is_kept(key: str) -> None:
    normal = normalise({"role": "user", "content": "x"}, {"role": "assistant", "content": "y", key: "r"})
    assert normal.messages[1]["reasoning_content"] == "r"


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
        normalise_messages(messages, special_tokens=SPECIALS)


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
    tools = normalise_tools([{"name": text}], special_tokens=SPECIALS)
    assert "<|im_end|>" not in f"{normal.messages}{tools}"
    assert normal.last_user_text == text


def test_control_tokens_that_cannot_be_shielded_are_refused() -> None:
    with pytest.raises(PromptError, match=r"control token '\[END\]'"):
        normalise_messages([{"role": "user", "content": "x[END]"}], special_tokens=["[END]"])


@settings(deadline=None)
@given(st.text(st.sampled_from(["<", "|", SHIELD, ">", "x"]), max_size=12))
def test_unshielding_gives_the_same_text(text: str) -> None:
    normal = normalise({"role": "user", "content": text + "."})
    assert unshield(normal.messages[0]["content"]) == text + "."


def test_tools_are_objects() -> None:
    assert normalise_tools(None, special_tokens=SPECIALS) is None
    with pytest.raises(PromptError, match="list of JSON objects"):
        normalise_tools("f", special_tokens=SPECIALS)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(PromptError, match=r"tools\[0\]: expected JSON, found object"):
        normalise_tools([{"name": object()}], special_tokens=SPECIALS)
